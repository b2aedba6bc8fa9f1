"""Readiness of a part without a port, by a file."""

import os
from pathlib import Path


def announce_ready(file: Path | None) -> None:
    """Announce readiness to the supervisor, if there is one: `file` is the setting `ready_file`."""
    if file is not None:
        new = file.with_suffix(f".{os.getpid()}")
        new.write_text(str(os.getpid()))
        # atomic: the supervisor never reads half a pid
        new.replace(file)


def has_announced(file: Path, pid: int) -> bool:
    """Return True if process `pid` has announced its readiness."""
    try:
        return file.read_text() == str(pid)
    except FileNotFoundError:
        return False
