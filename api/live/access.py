"""Who holds an open stream or socket, and the moment at which they may no more."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from api.http.api_keys import KeyAuthenticator
from api.http.caller import Caller
from domain.errors import Forbidden, Unauthenticated, Unavailable

CHECK_S = 15.0
"""Seconds between two checks of a key that nothing was heard of: it may expire."""
_RETRY_S = 1.0
_MOST_RETRIES = 10


class CallerWatch:
    """Checks callers again whenever a key, a tenant or a session of a browser changes, in whatever process."""

    def __init__(self, identity: KeyAuthenticator) -> None:
        self._identity = identity
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()

    async def authenticate(self, headers: Mapping[bytes, bytes]) -> Caller:
        """Return the caller of a socket.

        Raises:
            domain.errors.Unauthenticated, domain.errors.Forbidden, domain.errors.Unavailable: as for a request.
        """
        return await self._identity.authenticate(headers, open_path=False)

    async def until_revoked(self, headers: Mapping[bytes, bytes], caller: Caller) -> None:
        """Return as soon as these headers no longer mean this caller, or nobody can say it for too long."""
        self._loop = asyncio.get_running_loop()
        failures = 0
        while failures < _MOST_RETRIES:
            changed = self._changed
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_S if failures else CHECK_S):
                    await changed.wait()
            try:
                if await self.authenticate(headers) != caller:
                    return
                failures = 0
            except (Unauthenticated, Forbidden):
                return
            except Unavailable:
                failures += 1

    def drop(self, stream: str) -> None:  # noqa: ARG002  (a check of a key that has not changed is a lookup in memory)
        """Hear of a change, in the listener's thread."""
        self.clear()

    def clear(self) -> None:
        """Hear that changes may have been missed, in the listener's thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop was closed meanwhile
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
