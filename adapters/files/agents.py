"""The agents that ship with the platform: Markdown files with front matter."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import frontmatter
import yaml
from pydantic import ValidationError

from domain.agents.definition import AgentDefinition
from domain.agents.tools import refuse_unknown
from domain.errors import Invalid


def load_agent_files(directory: Path) -> list[AgentDefinition]:
    """Return all agents of a directory, one `<id>.md` each, in the order of their ids.

    Raises:
        Invalid: a file does not define an agent, or two share an id or alias; the message names file and field.
    """
    definitions = [_load(path) for path in sorted(directory.glob("*.md"))]
    _refuse_shared_names(definitions)
    return definitions


def _load(path: Path) -> AgentDefinition:
    try:
        post = frontmatter.loads(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _refusal(path, "front matter", " ".join(str(error).split())) from error
    fields: dict[str, Any] = dict(post.metadata)
    if "instructions" in fields:
        raise _refusal(path, "instructions", "belong below the front matter")
    definition = _definition(path, {**fields, "instructions": post.content})
    if definition.id != path.stem:
        raise _refusal(path, "id", f"is {definition.id}, but the file is named {path.name}")
    return definition


def _definition(path: Path, fields: dict[str, Any]) -> AgentDefinition:
    try:
        definition = AgentDefinition.model_validate(fields)
        refuse_unknown(definition.tools)
    except ValidationError as error:
        first = error.errors()[0]
        raise _refusal(path, ".".join(str(part) for part in first["loc"]), first["msg"]) from error
    except Invalid as error:
        raise _refusal(path, error.details["field"], error.details["reason"]) from error
    return definition


def _refuse_shared_names(definitions: Iterable[AgentDefinition]) -> None:
    owners: dict[str, str] = {}
    for definition in definitions:
        for name in (definition.id, *definition.aliases):
            if name in owners:
                reason = f"{name} already names {owners[name]}"
                raise _refusal(Path(f"{definition.id}.md"), "id" if name == definition.id else "aliases", reason)
            owners[name] = definition.id


def _refusal(path: Path, field: str, reason: str) -> Invalid:
    return Invalid(f"{path.name}: {field}: {reason}", file=path.name, field=field, reason=reason)
