"""Ports of health: probes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Probe = Callable[[], Awaitable[object]]
"""Probes one server: returns (anything) when it answers, raises when it does not."""


@dataclass(frozen=True, slots=True)
class ProjectionHealth:
    """The lag of one projection behind the ledger, in events, and the number of events it had to set aside."""

    name: str
    lag: int
    dead_letters: int


ProjectionsProbe = Callable[[], Awaitable[Sequence[ProjectionHealth]]]
"""Returns the health of every projection."""


async def no_projections() -> Sequence[ProjectionHealth]:
    """The null object of `ProjectionsProbe`: a process without a ledger."""
    return ()


@dataclass(frozen=True, slots=True)
class ToolServerHealth:
    """The health of a tool server: if it answers, the number of tools it offers, and its unusable ones."""

    name: str
    answers: bool
    tools: int
    quarantined: Sequence[str]


@dataclass(frozen=True, slots=True)
class CircuitHealth:
    """A circuit that is not closed: no calls are sent to the model, or only a probe, since `opened_at`."""

    provider: str
    model: str
    state: Literal["open", "half_open"]
    opened_at: datetime | None
    retry_at: datetime | None
    error: str | None


CircuitsProbe = Callable[[], Awaitable[Sequence[CircuitHealth]]]
"""Returns the circuits that are not closed."""


async def no_circuits() -> Sequence[CircuitHealth]:
    """The null object of `CircuitsProbe`: a process without a ledger."""
    return ()


ToolServersProbe = Callable[[], Awaitable[Sequence[ToolServerHealth]]]
"""Returns the health of every configured tool server."""


async def no_tool_servers() -> Sequence[ToolServerHealth]:
    """The null object of `ToolServersProbe`: a deployment without any."""
    return ()
