"""The disk that the data directory is on."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from domain.governance.system import DiskState


class DataDirectoryDisk:
    """`domain.governance.system.DiskInspection` of a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def state(self) -> DiskState | None:
        if not self._directory.is_dir():
            return None
        usage = shutil.disk_usage(self._directory)
        return DiskState(_size(self._directory), usage.total, usage.free)


def _size(directory: Path) -> int:
    """Return the bytes of all files below; what vanishes meanwhile, or may not be read, counts nothing."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += (Path(parent) / name).lstat().st_size
    return total
