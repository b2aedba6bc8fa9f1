"""Ports of approvals: their views, the store of instructions, and webhooks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from domain.approvals.instructions import Instruction
from domain.approvals.projection import ApprovalRow, ApprovalStepRow


@dataclass(frozen=True, slots=True)
class ApprovalFilter:
    """The approvals of one tenant; None lets all of them through.

    `status` may name several; `assigned_to` is a key among the deciders, by name.
    """

    tenant_id: str
    status: tuple[str, ...] | None = None
    risk: str | None = None
    kind: str | None = None
    agent_id: str | None = None
    workflow_id: str | None = None
    requested_by: str | None = None
    assigned_to: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """An approval with its texts; None where there is none, or where it was erased. `payload` is JSON."""

    row: ApprovalRow
    content: str | None
    payload: str | None
    comment: str | None
    edited: str | None


@dataclass(frozen=True, slots=True)
class ApprovalStepView:
    """A step with its comment and its edited text."""

    row: ApprovalStepRow
    comment: str | None
    edited: str | None


@dataclass(frozen=True, slots=True)
class ApprovalPage:
    """A page of approvals; `total` counts all that match the filter."""

    approvals: list[ApprovalView]
    total: int


@dataclass(frozen=True, slots=True)
class ApprovalCount:
    """The number of approvals of a status and risk, and the time of the oldest."""

    status: str
    risk: str
    count: int
    oldest_at: datetime


class ApprovalReads(Protocol):
    """The approvals, up to the projection's position."""

    def page(self, wanted: ApprovalFilter, *, skip: int, limit: int, newest_first: bool) -> ApprovalPage: ...

    def get(self, tenant_id: str, approval_id: str) -> ApprovalView | None: ...

    def history(self, tenant_id: str, approval_id: str) -> list[ApprovalStepView]:
        """Return all steps, in order."""
        ...

    def counts(self) -> list[ApprovalCount]:
        """All approvals, of all tenants, by status and risk."""
        ...


class InstructionStore(Protocol):
    """Instructions of authenticated callers. Only the API may write to it."""

    def put(self, instruction: Instruction) -> str:
        """Store an instruction once, and return its hash."""
        ...

    def get(self, approval_id: str, instruction_hash: str) -> Instruction | None:
        """Return the instruction for this approval; None where no authenticated caller recorded it."""
        ...


class DeliveryFailed(Exception):  # noqa: N818  (the name the field uses)
    """The receiver did not accept the delivery. `retry_after` is its own hint, in seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Webhooks(Protocol):
    """Delivery of notifications to the configured receiver."""

    async def deliver(self, notice_id: str, body: str) -> Literal["delivered", "gone"]:
        """Post a notification once, signed. A repeat has the same id. `gone`: the receiver wants no more.

        Raises:
            DeliveryFailed: it was not accepted.
        """
        ...
