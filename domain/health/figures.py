"""Figures of the whole platform, of all tenants, for operators who watch it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ModelTotals:
    """What calls of a model have used, as `/cost-management/usage` sums it up.

    `open_cost` is the worst case of calls that run or whose end is unknown.
    """

    model: str
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    failed: int
    open_cost: Decimal


@dataclass(frozen=True, slots=True)
class WaitingWork:
    """The number of turns or approvals in a state, and the age of the oldest in seconds."""

    state: str
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class PlatformFigures:
    """`events` and `turns` (by outcome) are counted since this process began to; all else is as it stands now."""

    events: Mapping[str, int] = field(default_factory=dict)
    turns: Mapping[str, int] = field(default_factory=dict)
    usage: Sequence[ModelTotals] = ()
    open_turns: Sequence[WaitingWork] = ()
    open_approvals: Sequence[WaitingWork] = ()


@dataclass(frozen=True, slots=True)
class QueueBacklog:
    """A task queue of one kind of tasks: those that wait, the age of the oldest in seconds, and who takes them."""

    queue: str
    kind: str
    backlog: int
    oldest_s: float
    pollers: int


class FiguresReads(Protocol):
    """The figures of the platform, by the ledger and the views."""

    def read(self) -> PlatformFigures:
        """Return the figures, up to the positions of the views.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        ...


FiguresProbe = Callable[[], Awaitable[PlatformFigures]]
QueuesProbe = Callable[[], Awaitable[Sequence[QueueBacklog]]]


async def no_figures() -> PlatformFigures:
    """The null object of `FiguresProbe`: a process without a ledger."""
    return PlatformFigures()


async def no_queues() -> Sequence[QueueBacklog]:
    """The null object of `QueuesProbe`: a process without Temporal."""
    return ()
