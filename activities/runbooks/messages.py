"""Inputs and results of the activities of runbooks: ids and names only.

Temporal's inputs are not trusted: the runbook, its parameters and the dry run are read from the ledger, where only the
API records a request.
"""

from dataclasses import dataclass
from typing import Literal

from activities.approvals.messages import ApprovalRequest
from domain.runbooks.events import EndStatus


@dataclass(frozen=True)
class RunbookRef:
    """A run by its id."""

    run_id: str


@dataclass(frozen=True)
class RunbookStepRef:
    """A step of a run by its name."""

    run_id: str
    step: str


@dataclass(frozen=True)
class RunbookPlan:
    """The steps of a run; `approval_before` is the one that needs an approval, if any does.

    `ended` is the status of a run that is over. `longest_s` bounds each step, in seconds.
    """

    steps: list[str]
    approval_before: str | None = None
    ended: EndStatus | None = None
    longest_s: float = 6 * 3600.0


@dataclass(frozen=True)
class RunbookStepResult:
    """How a step ended."""

    status: Literal["completed", "failed"]
    code: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class RunbookApproval:
    """The approval that a run waits for."""

    ask: ApprovalRequest


@dataclass(frozen=True)
class RunbookHold:
    """A run that waits for an approval, which has been requested."""

    run_id: str
    approval_id: str


@dataclass(frozen=True)
class RunbookEndRequest:
    """The end of a run, and of the step that was not finished, if there is one."""

    run_id: str
    status: EndStatus
    code: str | None = None
    error: str | None = None
    step: str | None = None
