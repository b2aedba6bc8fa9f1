"""The workflows that ship with the platform: YAML files."""

from pathlib import Path

from domain.errors import Invalid, Malformed
from domain.graphflow.catalogue.names import PREFIX
from domain.graphflow.definition.documents import parse_definition
from domain.graphflow.definition.model import Definition


def load_workflow_files(directory: Path) -> dict[str, Definition]:
    """Return all workflows of a directory by their ids: `<name>.yaml` defines `workflow_<name>`.

    Raises:
        Invalid: a file is not a definition; the message names file and place.
    """
    return {f"{PREFIX}{path.stem}": _load(path) for path in sorted(directory.glob("*.yaml"))}


def _load(path: Path) -> Definition:
    try:
        return parse_definition(path.read_text(encoding="utf-8"))
    except (Invalid, Malformed) as error:
        raise Invalid(f"{path.name}: {error.message}", **{**error.details, "file": path.name}) from error
