"""How a part without a port says that it is ready."""

import os
from pathlib import Path


def announce_ready(file: Path | None) -> None:
    """Tell the supervisor, where there is one: `file` is the setting `ready_file`."""
    if file is not None:
        new = file.with_suffix(f".{os.getpid()}")
        new.write_text(str(os.getpid()))
        new.replace(file)


def is_ready(file: Path, pid: int) -> bool:
    """Whether process `pid` has said so."""
    try:
        return file.read_text() == str(pid)
    except FileNotFoundError:
        return False
