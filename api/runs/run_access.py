"""Starts, reads and refuses runs of one kind; swarms and executions differ only in their names and views."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from api.runs.context import RunContext
from domain.errors import Conflict, NotFound, Unavailable
from domain.revocations import RevocableWork
from domain.tenant_ids import tenant_of


class RunRow(Protocol):
    """The row of a run in its view."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def ended_at(self) -> datetime | None: ...


class RunView(Protocol):
    """A run as its view has it."""

    @property
    def row(self) -> RunRow: ...


Request = TypeVar("Request")
View = TypeVar("View", bound=RunView)


@dataclass(frozen=True, slots=True)
class RunKind(Generic[Request, View]):
    """One kind of run: its name, its projection, and the two places where a run can be read.

    `initial_view` is the view of a run of which only the request is known: the input of its workflow.
    """

    name: str
    projection: str
    find: Callable[[str], View | None]
    read_input: Callable[[str], Awaitable[Request]]
    initial_view: Callable[[Request, datetime], View]


class RunAccess(Generic[Request, View]):
    """The runs of one kind."""

    def __init__(self, kind: RunKind[Request, View], context: RunContext) -> None:
        self._kind = kind
        self._context = context

    async def start(
        self, starting: Awaitable[bool], work: RevocableWork, *, run_id: str, by: str, because: str
    ) -> bool:
        """Start a run's workflow; False if it runs already, is over, or has begun without a confirmation.

        Raises:
            Unavailable: Temporal cannot be reached; nothing was accepted, and nothing will be done.
        """
        tenant_id = tenant_of(run_id)
        return bool(await self._context.handover.confirm(starting, work, by=by, because=because, tenant_id=tenant_id))

    async def read(self, run_id: str, *, tenant_id: str) -> View:
        """Return a run as its view has it, or as it was requested while the view has nothing yet.

        Raises:
            NotFound: there is none in this tenant.
        """
        seen = await asyncio.to_thread(self._kind.find, run_id)
        if seen is None and tenant_of(run_id) == tenant_id:
            seen = self.initial_view(await self._kind.read_input(run_id))
        if seen is None or seen.row.tenant_id != tenant_id:
            raise NotFound(f"there is no such {self._kind.name}")
        return seen

    async def read_newest_state(self, run_id: str, otherwise: View) -> View:
        """Return the run's state once its view has caught up; `otherwise` if it cannot be read now."""
        try:
            await self._context.positions.wait(self._kind.projection)
            return await self.read(run_id, tenant_id=otherwise.row.tenant_id)
        except Unavailable:
            return otherwise

    def initial_view(self, request: Request) -> View:
        """Return the view of a run of which only the request is known."""
        return self._kind.initial_view(request, self._context.now())

    def refuse_ended(self, seen: View, **details: object) -> None:
        """Return if the run is not over.

        Raises:
            Conflict: it is.
        """
        if seen.row.ended_at is not None:
            raise Conflict(f"this {self._kind.name} is over: {seen.row.status}", status=seen.row.status, **details)
