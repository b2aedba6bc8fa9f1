"""Events of a run of a runbook. Its stream is `runbook:<run_id>`. Parameters and results are ids and numbers."""

from typing import Literal

from pydantic import JsonValue

from domain.events import Event

EndStatus = Literal["completed", "failed", "rejected", "cancelled"]


class RunbookRequested(Event):
    """An operator, or a schedule of one, requested a run."""

    NAME = "runbook.requested"

    run_id: str
    runbook_id: str
    parameters: dict[str, JsonValue]
    dry_run: bool


class RunbookStepStarted(Event):
    """A step began; `attempt` is 1 unless an earlier one was lost or failed for the time being."""

    NAME = "runbook.step_started"

    run_id: str
    step: str
    attempt: int


class RunbookStepEnded(Event):
    """A step ended. `error` is a message of the platform with the API's code."""

    NAME = "runbook.step_ended"

    run_id: str
    step: str
    status: Literal["completed", "failed"]
    result: dict[str, JsonValue]
    code: str | None = None
    error: str | None = None


class RunbookApprovalRequested(Event):
    """The run waits for an approval before its first change."""

    NAME = "runbook.approval_requested"

    run_id: str
    approval_id: str


class RunbookEnded(Event):
    """The run ended. `rejected`: its approval was not given."""

    NAME = "runbook.ended"

    run_id: str
    status: EndStatus
    code: str | None = None
    error: str | None = None


EVENTS: tuple[type[Event], ...] = (
    RunbookRequested,
    RunbookStepStarted,
    RunbookStepEnded,
    RunbookApprovalRequested,
    RunbookEnded,
)
