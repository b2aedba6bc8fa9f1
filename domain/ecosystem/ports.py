"""Ports of the agent ecosystem: what agents did lately."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AgentActivity:
    """The turns of an agent that started in a window, with the definitions of analytics; times are seconds.

    `last_response_time` is that of the newest timed turn, `last_ended_at` the end of the newest turn.
    """

    completed: int = 0
    failed: int = 0
    response_time_p95: float | None = None
    last_response_time: float | None = None
    last_ended_at: datetime | None = None

    @property
    def ended_turns(self) -> int:
        """The number of completed and failed turns."""
        return self.completed + self.failed

    @property
    def success_rate(self) -> float | None:
        """The share of completed turns; None while none has ended."""
        return self.completed / self.ended_turns if self.ended_turns else None


class EcosystemReads(Protocol):
    """The views of turns and calls of a tenant, as far as the projections have come."""

    def activities(self, tenant_id: str, since: datetime) -> dict[str, AgentActivity]:
        """Return what each agent did since then, by its id; idle agents are absent."""
        ...

    def failing_models(self, tenant_id: str, since: datetime, streak: int) -> Collection[str]:
        """Return the models whose last `streak` attempts at calls since then all failed or were lost."""
        ...

    def open_circuits(self, at: datetime) -> Collection[tuple[str, str]]:
        """Return the provider and model of the circuits that let no call through at this moment but a probe."""
        ...
