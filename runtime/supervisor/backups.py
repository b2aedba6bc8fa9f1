"""Backups at intervals, for as long as the system runs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from runtime.backup.listing import list_backups
from runtime.settings import Settings

_AGAIN = timedelta(minutes=10)
"""The longest pause after a failed backup."""


def until_next(directory: Path, every: timedelta, now: datetime) -> timedelta:
    """Return the time until the next backup is due: at once if there is no whole one."""
    known = list_backups(directory)
    return max(known[-1].manifest.moment + every - now, timedelta()) if known else timedelta()


async def keep_backing_up(settings: Settings, run: Callable[..., Awaitable[bool]]) -> None:
    """Make a backup whenever one is due, in a process of its own that `run` starts, until this is cancelled.

    Without CONVERGIO_BACKUP_DIR there is none.
    """
    if settings.backup_dir is None:
        return
    directory, every = settings.backup_dir.absolute(), timedelta(hours=settings.backup_every_h)
    while True:
        pause = await asyncio.to_thread(until_next, directory, every, datetime.now(UTC))
        await asyncio.sleep(pause.total_seconds())
        if not await run("backup", str(directory), "--keep", str(settings.backup_keep)):
            structlog.get_logger("backup").error("backup failed", again_in_s=min(every, _AGAIN).total_seconds())
            await asyncio.sleep(min(every, _AGAIN).total_seconds())
