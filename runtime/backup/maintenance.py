"""Backups for the runbook `backup`: in the directory, and as many, as the operator has set."""

from pathlib import Path

import structlog

from domain.errors import Conflict
from domain.runbooks.ports import BackupSummary
from runtime.backup.listing import list_backups
from runtime.backup.manifest import BackupError
from runtime.backup.retention import make_kept_backup
from runtime.settings import Settings


class KeptBackups:
    """`domain.runbooks.ports.BackupMaintenance` in the directory of `CONVERGIO_BACKUP_DIR`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def summary(self) -> BackupSummary:
        known = list_backups(self._directory())
        if not known:
            return BackupSummary(0)
        newest = known[-1].manifest
        return BackupSummary(len(known), newest.moment, sum(file.size for file in newest.files.values()))

    def make(self) -> int:
        try:
            _, removed = make_kept_backup(self._settings, self._directory(), keep=self._settings.backup_keep)
        except BackupError as error:
            structlog.get_logger("backup").error("backup failed", error=str(error))
            raise Conflict("the backup cannot be made; the log of the worker says why") from None
        return len(removed)

    def _directory(self) -> Path:
        if self._settings.backup_dir is None:
            raise Conflict("there is no directory for backups: set CONVERGIO_BACKUP_DIR")
        return self._settings.backup_dir.absolute()
