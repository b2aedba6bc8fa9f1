"""What health needs of the outside: something to ask."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

Probe = Callable[[], Awaitable[object]]
"""Asks one server for a sign of life: returns (anything) when it answers, raises when it does not."""


@dataclass(frozen=True, slots=True)
class ProjectionHealth:
    """How far one projection is behind the ledger, in events, and how many events it had to set aside."""

    name: str
    lag: int
    dead_letters: int


ProjectionsProbe = Callable[[], Awaitable[Sequence[ProjectionHealth]]]
"""Tells where every projection stands."""


async def no_projections() -> Sequence[ProjectionHealth]:
    """The null object of `ProjectionsProbe`: a process without a ledger."""
    return ()


@dataclass(frozen=True, slots=True)
class ToolServerHealth:
    """Whether a tool server answers, how many tools it offers, and which it lists in a way that cannot be used."""

    name: str
    answers: bool
    tools: int
    quarantined: Sequence[str]


ToolServersProbe = Callable[[], Awaitable[Sequence[ToolServerHealth]]]
"""Tells how every configured tool server is."""


async def no_tool_servers() -> Sequence[ToolServerHealth]:
    """The null object of `ToolServersProbe`: a deployment without any."""
    return ()
