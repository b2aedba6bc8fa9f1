"""Draining of a worker process: it looks in the database whether it was told to stop polling."""

import asyncio
from asyncio import to_thread

import structlog

from domain.errors import Unavailable
from domain.runbooks.ports import WorkerDrains

_LOOK_S = 1.0


class DrainWatch:
    """Watches for a drain of this process, by its identity in Temporal."""

    def __init__(self, drains: WorkerDrains, identity: str) -> None:
        self._drains = drains
        self._identity = identity
        self._log = structlog.get_logger("worker")

    async def wait_until_requested(self) -> None:
        """Return once this worker was told to drain. While the database is away nothing is told.

        An identity is a process id and a host: an earlier process of this identity may have been drained, as in a
        container that is started again. That is forgotten first.
        """
        is_forgotten = False
        while True:
            try:
                if not is_forgotten:
                    await to_thread(self._drains.forget, self._identity)
                    is_forgotten = True
                if await to_thread(self._drains.find, self._identity) is not None:
                    self._log.warning("draining: no new work is taken", identity=self._identity)
                    return
            except Unavailable:
                pass
            await asyncio.sleep(_LOOK_S)

    async def report_drained(self) -> None:
        """Record that the work of this process has ended; retried until the database is there."""
        while True:
            try:
                await to_thread(self._drains.mark_drained, self._identity)
            except Unavailable:
                await asyncio.sleep(_LOOK_S)
            else:
                self._log.warning("drained: this process polls nothing until it is restarted", identity=self._identity)
                return
