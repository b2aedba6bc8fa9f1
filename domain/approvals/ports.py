"""What approvals need of the outside: their views, and somebody to tell."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from domain.approvals.instructions import Instruction
from domain.approvals.projection import ApprovalRow, ApprovalStepRow


@dataclass(frozen=True, slots=True)
class ApprovalFilter:
    """None lets all through. `status` may name several; `assigned_to` is a key among the deciders, by name."""

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
class ReadApproval:
    """An approval with its texts; None where there is none, or where it was erased. `payload` is JSON."""

    row: ApprovalRow
    content: str | None
    payload: str | None
    comment: str | None
    edited: str | None


@dataclass(frozen=True, slots=True)
class ReadStep:
    """A step with what was said in it, and the text as it was edited."""

    row: ApprovalStepRow
    comment: str | None
    edited: str | None


@dataclass(frozen=True, slots=True)
class ApprovalPage:
    """Some of the approvals; `total` counts those that pass the filter."""

    approvals: list[ReadApproval]
    total: int


@dataclass(frozen=True, slots=True)
class ApprovalCount:
    """How many stand like this, and since when the oldest does."""

    status: str
    risk: str
    count: int
    oldest_at: datetime


class ApprovalReads(Protocol):
    """The approvals, as far as the projection has come."""

    def page(self, wanted: ApprovalFilter, *, skip: int, limit: int, newest_first: bool) -> ApprovalPage: ...

    def get(self, approval_id: str) -> ReadApproval | None: ...

    def history(self, approval_id: str) -> list[ReadStep]:
        """All steps, in order."""
        ...

    def counts(self) -> list[ApprovalCount]:
        """All approvals by status and risk."""
        ...


class InstructionStore(Protocol):
    """Instructions of callers whose keys were checked. Nothing but the API may write to it."""

    def put(self, instruction: Instruction) -> str:
        """Store it, once, and return its hash."""
        ...

    def get(self, approval_id: str, instruction_hash: str) -> Instruction | None:
        """The instruction for this approval; None where nobody who checks keys has written one."""
        ...


class DeliveryFailed(Exception):  # noqa: N818  (the name the field uses)
    """The receiver did not take it. `retry_after` is its own word for when to come back, in seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Webhooks(Protocol):
    """Somebody outside who wants to know."""

    async def deliver(self, notice_id: str, body: str) -> Literal["delivered", "gone"]:
        """Post it once, signed. The same notice again has the same id. `gone`: nothing is wanted any more.

        Raises:
            DeliveryFailed: it was not taken.
        """
        ...
