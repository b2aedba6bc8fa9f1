"""Ports of recovery: what is open by the views."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from domain.recovery.policy import OpenApproval, OpenWork


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A reservation that has no end."""

    call_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class OpenFiring:
    """A firing that has begun and has no outcome."""

    schedule_id: str
    firing_id: str
    scheduled_at: datetime
    trigger: Literal["schedule", "manual"]


class OpenWorkReads(Protocol):
    """Everything of all tenants that is open, up to the projections' positions."""

    def work(self) -> list[OpenWork]:
        """Return turns (`session#turn`), swarms and executions."""
        ...

    def approvals(self, workflow_ids: Iterable[str]) -> list[OpenApproval]:
        """Return the undecided approvals, and those that these workflows are of."""
        ...

    def firings(self) -> list[OpenFiring]: ...

    def calls(self) -> list[OpenCall]: ...

    def recorded_ids(self, workflow_ids: Iterable[str]) -> set[str]:
        """Return those of these workflows of chats, swarms and executions that the ledger knows."""
        ...
