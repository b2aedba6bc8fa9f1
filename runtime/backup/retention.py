"""Backups in one directory, named by their times: the newest are kept, older ones are removed."""

import fcntl
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from runtime.backup.backup import LOCK, PARTIAL, make_backup
from runtime.backup.listing import StoredBackup, list_backups
from runtime.settings import Settings

_NAME = "convergio-%Y%m%dT%H%M%S.%fZ"


def make_kept_backup(settings: Settings, directory: Path, *, keep: int) -> tuple[StoredBackup, list[Path]]:
    """Make a backup in `directory`, named by its time, and remove all but the newest `keep` of the whole ones there.

    Returns the backup and the removed ones. It is what the schedule of `convergio up` runs.

    Raises:
        BackupError: it cannot be made; then none is removed.
    """
    path = directory / datetime.now(UTC).strftime(_NAME)
    _remove_abandoned(directory)
    manifest = make_backup(settings, path)
    removed = [backup.path for backup in list_backups(directory)[: -max(keep, 1)]]
    for old in removed:
        shutil.rmtree(old)
    return StoredBackup(path, manifest), removed


def _remove_abandoned(directory: Path) -> None:
    """Remove what killed processes have left of unfinished backups here."""
    for partial in directory.glob(f"convergio-*{PARTIAL}"):
        with suppress(OSError), (partial / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial)
