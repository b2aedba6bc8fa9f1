"""One run of a runbook, and the decisions on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from domain.errors import Conflict, NotFound
from domain.events import Cause, Event
from domain.ids import derived_hex
from domain.runbooks.events import (
    EndStatus,
    RunbookApprovalRequested,
    RunbookEnded,
    RunbookRequested,
    RunbookStepEnded,
    RunbookStepStarted,
)
from domain.tenant_ids import run_id

PREFIX = "runbook_"
MOST_ATTEMPTS = 20
"""Attempts at a step that are recorded; later ones only work."""
MOST_ERROR = 500


@dataclass(frozen=True, slots=True)
class RunbookRunRecord:
    """A run by its events; `request` is None while it was never requested. `attempts` counts starts by step."""

    request: RunbookRequested | None = None
    attempts: Mapping[str, int] = field(default_factory=dict)
    steps: Mapping[str, RunbookStepEnded] = field(default_factory=dict)
    approval_id: str | None = None
    ended: RunbookEnded | None = None
    version: int = 0

    @property
    def asked(self) -> RunbookRequested:
        """Return the request.

        Raises:
            NotFound: there is none.
        """
        if self.request is None:
            raise NotFound("there is no such run of a runbook")
        return self.request


@dataclass(frozen=True, slots=True)
class StepFailure:
    """A failure, by the API's code."""

    code: str
    message: str


def stream(runbook_run_id: str) -> str:
    return f"runbook:{runbook_run_id}"


def request_key(runbook_run_id: str) -> str:
    """Return the idempotency key of the append that requests a run."""
    return f"runbook.request:{runbook_run_id}"


def run_id_of(tenant_id: str, key: str | None) -> str:
    """Return the id of the run that is requested under a key, or a new one without a key."""
    return run_id("runbook", tenant_id, derived_hex("runbook", key) if key else None)


def evolve(run: RunbookRunRecord, event: Event) -> RunbookRunRecord:
    run = replace(run, version=run.version + 1)
    match event:
        case RunbookRequested():
            return replace(run, request=event)
        case RunbookStepStarted(step=step, attempt=attempt):
            return replace(run, attempts={**run.attempts, step: attempt})
        case RunbookStepEnded(step=step):
            return replace(run, steps={**run.steps, step: event})
        case RunbookApprovalRequested(approval_id=approval_id):
            return replace(run, approval_id=approval_id)
        case RunbookEnded():
            return replace(run, ended=event)
        case _:
            return run


def load(events: Iterable[Event]) -> RunbookRunRecord:
    return reduce(evolve, events, RunbookRunRecord())


def start_step(run: RunbookRunRecord, step: str, cause: Cause) -> list[Event]:
    """Start a step, or a further attempt at it; nothing if it has ended or was attempted often enough to be shown.

    Raises:
        Conflict: the run has ended.
    """
    asked = run.asked
    if step in run.steps or run.attempts.get(step, 0) >= MOST_ATTEMPTS:
        return []
    if run.ended is not None:
        raise Conflict(f"this run has ended: {run.ended.status}", status=run.ended.status)
    attempt = run.attempts.get(step, 0) + 1
    return [RunbookStepStarted(run_id=asked.run_id, step=step, attempt=attempt, **cause.fields())]


def end_step(
    run: RunbookRunRecord, step: str, result: Mapping[str, Any], failure: StepFailure | None, cause: Cause
) -> list[Event]:
    """End a step; nothing if it or the run has ended."""
    asked = run.asked
    if step in run.steps or run.ended is not None:
        return []
    return [
        RunbookStepEnded(
            run_id=asked.run_id,
            step=step,
            status="completed" if failure is None else "failed",
            result=dict(result),
            code=failure.code if failure else None,
            error=failure.message[:MOST_ERROR] if failure else None,
            **cause.fields(),
        )
    ]


def request_approval(run: RunbookRunRecord, approval_id: str, cause: Cause) -> list[Event]:
    """Note the approval that the run waits for, once."""
    if run.approval_id is not None or run.ended is not None:
        return []
    return [RunbookApprovalRequested(run_id=run.asked.run_id, approval_id=approval_id, **cause.fields())]


def end(run: RunbookRunRecord, status: EndStatus, failure: StepFailure | None, cause: Cause) -> list[Event]:
    """End the run; nothing if it has ended."""
    asked = run.asked
    if run.ended is not None:
        return []
    code, error = (failure.code, failure.message[:MOST_ERROR]) if failure else (None, None)
    return [RunbookEnded(run_id=asked.run_id, status=status, code=code, error=error, **cause.fields())]
