"""Handover of work to Temporal such that a 503 is definite: unconfirmed work is revoked before the 503 is sent."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import structlog

from domain.errors import Unavailable
from domain.events import Cause
from domain.revocations import RevocableWork, Revocations

T = TypeVar("T")

_PAUSE_S = 1.0
"""Seconds between two attempts to revoke work while the ledger cannot be reached."""


class WorkHandover:
    """Hands over all work that must not run after its caller has received a 503."""

    def __init__(self, revocations: Revocations, now: Callable[[], datetime]) -> None:
        self._revocations = revocations
        self._now = now
        self._late: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("convergio.api")

    async def usable_key(self, idempotency_key: str | None) -> str | None:
        """Return the text that the ids of the request's work are derived from: none of revoked work."""
        if idempotency_key is None:
            return None
        return await asyncio.to_thread(self._revocations.id_base, idempotency_key)

    async def confirm(
        self, handing_over: Awaitable[T], work: RevocableWork, *, by: str, because: str, tenant_id: str
    ) -> T | None:
        """Return Temporal's answer. None if there is none, but the work has begun all the same.

        Raises:
            Unavailable: Temporal does not answer, and the work will never begin.
        """
        try:
            return await handing_over
        except Unavailable as away:
            if await self._revoke(work, Cause(by, because, self._now(), tenant_id)):
                self._log.warning("work was revoked", key=work.key, because=because, reason=away.message)
                raise
        return None

    async def _revoke(self, work: RevocableWork, cause: Cause) -> bool:
        """Return whether the work was revoked before it began; while the ledger is down, retry in the background."""
        try:
            return await asyncio.to_thread(self._revocations.revoke, work, cause)
        except Unavailable:
            task = asyncio.create_task(self._revoke_later(work, cause))
            self._late.add(task)  # asyncio itself keeps only a weak reference
            task.add_done_callback(self._late.discard)
            raise

    async def _revoke_later(self, work: RevocableWork, cause: Cause) -> None:
        while True:
            await asyncio.sleep(_PAUSE_S)
            try:
                is_revoked = await asyncio.to_thread(self._revocations.revoke, work, cause)
            except Unavailable:
                continue
            self._log.warning("work was revoked late", key=work.key, because=cause.because, in_time=is_revoked)
            return
