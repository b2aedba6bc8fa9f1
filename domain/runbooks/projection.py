"""The read model of runs of runbooks and their steps."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.runbooks.events import (
    RunbookApprovalRequested,
    RunbookEnded,
    RunbookRequested,
    RunbookStepEnded,
    RunbookStepStarted,
)

RunStatus = Literal["running", "awaiting_approval", "completed", "failed", "rejected", "cancelled"]
_OF_STEP = RunbookStepStarted | RunbookStepEnded
_OF_RUN = _OF_STEP | RunbookApprovalRequested | RunbookEnded


@dataclass(frozen=True, slots=True)
class RunbookRunRow:
    """A run."""

    TABLE: ClassVar[str] = "runbook_runs"
    KEY: ClassVar[tuple[str, ...]] = ("run_id",)

    run_id: str
    tenant_id: str
    runbook_id: str
    parameters: dict[str, Any]
    dry_run: bool
    status: RunStatus
    approval_id: str | None
    requested_by: str
    requested_at: datetime
    ended_at: datetime | None
    code: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class RunbookStepRow:
    """A step that has begun; `attempts` counts its starts."""

    TABLE: ClassVar[str] = "runbook_steps"
    KEY: ClassVar[tuple[str, ...]] = ("run_id", "step")

    run_id: str
    step: str
    tenant_id: str
    status: Literal["running", "completed", "failed"]
    attempts: int
    started_at: datetime
    ended_at: datetime | None
    result: dict[str, Any] | None
    code: str | None
    error: str | None


class RunbooksProjection:
    """`domain.projection.Projection` of runs of runbooks."""

    name = "runbooks"
    kinds: tuple[type[Row], ...] = (RunbookRunRow, RunbookStepRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        event = recorded.event
        if isinstance(event, _OF_RUN):
            yield RunbookRunRow, (event.run_id,)
        if isinstance(event, _OF_STEP):
            yield RunbookStepRow, (event.run_id, event.step)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case RunbookRequested() as event:
                rows.put(_new_run(event))
            case RunbookStepStarted() as event:
                rows.put(replace(_run(event.run_id, rows), status="running"))
                rows.put(_started_step(event, rows))
            case RunbookStepEnded() as event:
                rows.put(_ended_step(event, rows))
            case RunbookApprovalRequested(run_id=run_id, approval_id=approval_id):
                rows.put(replace(_run(run_id, rows), status="awaiting_approval", approval_id=approval_id))
            case RunbookEnded(run_id=run_id, status=status) as event:
                row = replace(_run(run_id, rows), status=status, ended_at=event.at)
                rows.put(replace(row, code=event.code, error=event.error))


def _new_run(event: RunbookRequested) -> RunbookRunRow:
    return RunbookRunRow(
        run_id=event.run_id,
        tenant_id=event.tenant_id,
        runbook_id=event.runbook_id,
        parameters=event.parameters,
        dry_run=event.dry_run,
        status="running",
        approval_id=None,
        requested_by=event.by,
        requested_at=event.at,
        ended_at=None,
        code=None,
        error=None,
    )


def _started_step(event: RunbookStepStarted, rows: Rows) -> RunbookStepRow:
    known = rows.get(RunbookStepRow, event.run_id, event.step)
    if known is not None:
        return replace(known, attempts=event.attempt)
    return RunbookStepRow(
        run_id=event.run_id,
        step=event.step,
        tenant_id=event.tenant_id,
        status="running",
        attempts=event.attempt,
        started_at=event.at,
        ended_at=None,
        result=None,
        code=None,
        error=None,
    )


def _ended_step(event: RunbookStepEnded, rows: Rows) -> RunbookStepRow:
    row = rows.get(RunbookStepRow, event.run_id, event.step)
    if row is None:
        raise NotFound(f"step {event.step} of {event.run_id} never began")
    ended = replace(row, status=event.status, ended_at=event.at, result=event.result)
    return replace(ended, code=event.code, error=event.error)


def _run(run_id: str, rows: Rows) -> RunbookRunRow:
    row = rows.get(RunbookRunRow, run_id)
    if row is None:
        raise NotFound(f"{run_id} was never requested")
    return row
