"""Temporal's word for what it is handed: waited for so long, and what its absence means."""

from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.service import RPCError

from domain.errors import Unavailable

CONFIRM_S = 60.0
"""Temporal is waited for so long, in seconds, to confirm that it has written something down.

One that is busy, as with a thousand new sessions at once, takes half a minute for it; one that is away says so at once.
"""


@asynccontextmanager
async def confirmed() -> AsyncIterator[None]:
    """A call in which Temporal writes something down.

    Raises:
        Unavailable: it has not said so. It may have the call all the same, or find it when it goes on.
    """
    try:
        async with timeout(CONFIRM_S):
            yield
    except RPCError as error:
        raise Unavailable(f"Temporal cannot be reached ({error.status.name})", retry_after=2) from error
    except TimeoutError as error:
        raise Unavailable("Temporal does not answer", retry_after=2) from error
