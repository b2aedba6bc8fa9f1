"""Steps of `backup`."""

from asyncio import to_thread
from collections.abc import Mapping

from activities.runbooks.steps import RunbookContext, StepHandler, StepResult
from domain.runbooks.ports import BackupMaintenance


class BackupSteps:
    """Makes a backup of a running system."""

    def __init__(self, backups: BackupMaintenance) -> None:
        self._backups = backups

    def handlers(self) -> Mapping[tuple[str, str], StepHandler]:
        return {
            ("backup", "inspect"): self.inspect_backups,
            ("backup", "backup"): self.make_backup,
            ("backup", "report"): self.inspect_backups,
        }

    async def inspect_backups(self, _context: RunbookContext) -> StepResult:
        """Count the whole backups, and tell the moment and size of the newest."""
        found = await to_thread(self._backups.summary)
        moment = found.newest_moment
        return {
            "backups": found.count,
            "newest_moment": moment.isoformat() if moment is not None else None,
            "newest_bytes": found.newest_bytes,
        }

    async def make_backup(self, context: RunbookContext) -> StepResult:
        """Make a backup. An attempt that a crash has cut off leaves nothing; the next one makes a whole backup."""
        removed = 0 if context.dry_run else await to_thread(self._backups.make)
        return {"made": 0 if context.dry_run else 1, "removed": removed}
