"""Calls to Temporal: their errors as refusals, writes that are confirmed, and the input of a run from its history."""

from asyncio import timeout
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import DomainError, NotFound, Unavailable

CONFIRM_S = 60.0
"""Seconds that Temporal is given to confirm a write.

One that is busy, as with a thousand new sessions at once, takes half a minute for it; one that is away says so at once.
"""
RUN_IS_GONE = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED, RPCStatusCode.FAILED_PRECONDITION})
"""Answers about a run that is closed, or that there has never been."""

T = TypeVar("T")


def unavailable(error: RPCError) -> Unavailable:
    """Return the refusal for a call that Temporal did not carry out."""
    return Unavailable(f"Temporal cannot be reached ({error.status.name})", retry_after=2)


@contextmanager
def reachable(*, over: DomainError | None = None) -> Iterator[None]:
    """Turn every error of Temporal's API into a refusal: `over`, if given, when the run is closed.

    Raises:
        Unavailable: Temporal did not carry out the call.
    """
    try:
        yield
    except RPCError as error:
        if over is not None and error.status in RUN_IS_GONE:
            raise over from error
        raise unavailable(error) from error


@asynccontextmanager
async def confirmed() -> AsyncIterator[None]:
    """Wait up to `CONFIRM_S` seconds for Temporal to confirm a write.

    Raises:
        Unavailable: it has not. It may have the call all the same, or find it when it goes on.
    """
    try:
        async with timeout(CONFIRM_S):
            with reachable():
                yield
    except TimeoutError as error:
        raise Unavailable("Temporal does not answer", retry_after=2) from error


async def start_input(client: Client, run_id: str, *, prefix: str, workflow: str, of: type[T], absent: str) -> T:
    """Return the input that a run was started with, from its history: no view may know the run yet.

    Raises:
        NotFound: there is no such run of this workflow, whose ids begin with `prefix`; `absent` is its message.
        Unavailable: Temporal cannot be reached.
    """
    if not run_id.startswith(prefix):
        raise NotFound(absent)
    with reachable():
        try:
            history = client.get_workflow_handle(run_id).fetch_history_events(page_size=1)
            first = await anext(aiter(history))
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                raise NotFound(absent) from error
            raise
    started = first.workflow_execution_started_event_attributes
    if started.workflow_type.name != workflow:
        raise NotFound(absent)
    start: T
    [start] = await client.data_converter.decode(started.input.payloads, [of])
    return start
