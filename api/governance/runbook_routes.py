"""Routes of runbooks."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response

from api.governance.runbook_schemas import (
    RunbookCatalogue,
    RunbookExecution,
    RunbookInfo,
    RunbookRun,
    RunbookRunList,
    RunbookRunSummary,
    RunbookStepInfo,
)
from api.governance.runbook_service import RunbookService
from api.http.dependencies import CurrentRequest, CurrentTenant, IdempotencyKey, Paged, fresh, requires
from domain.runbooks.aggregate import RunbookRunRecord as RequestedRun
from domain.runbooks.catalogue import RUNBOOKS, Runbook, StepDefinition
from domain.runbooks.ports import RunbookFilter, RunbookRunView
from domain.runbooks.projection import RunbookRunRow, RunbookStepRow, RunStatus

PREFIX = "/api/v1/governance"
RUNS = f"{PREFIX}/runbooks/runs"
_RunId = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9_~-]+$")]
_RunbookId = Annotated[str, Path(max_length=64, pattern=r"^[a-z-]+$")]


def router(runbooks: RunbookService, now: Callable[[], datetime]) -> APIRouter:
    """Build the routes of runbooks. Every route requires `admin`."""
    routes = APIRouter(prefix=PREFIX, tags=["Governance"], dependencies=[requires("admin")])

    @routes.post("/runbook/{runbook_id}/execute", status_code=202)
    async def execute_runbook(
        runbook_id: _RunbookId, body: RunbookExecution, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> RunbookRunSummary:
        """Starts a run of a runbook: 202 and a `Location` to poll.

        A run whose worker dies goes on with another one. A runbook with an `approval_risk` waits for an approval
        before its first change; a dry run changes nothing, and tells in its steps what a run would do.
        """
        run = await runbooks.request(runbook_id, body.parameters, request.cause(now()), dry_run=body.dry_run, key=key)
        response.headers["location"] = f"{RUNS}/{run.asked.run_id}"
        return requested_run(run)

    @routes.get("/runbooks")
    async def list_runbooks(page: Paged) -> RunbookCatalogue:
        """Lists the runbooks of this release, with their steps and the JSON Schema of their parameters."""
        found = list(RUNBOOKS.values())
        shown = [_info(runbook) for runbook in found[page.skip : page.skip + page.limit]]
        return RunbookCatalogue(data=shown, pagination=page.pagination(len(found)))

    @routes.get("/runbooks/runs", dependencies=[fresh("runbooks")])
    def list_runbook_runs(
        page: Paged,
        tenant_id: CurrentTenant,
        runbook_id: Annotated[str | None, Query(max_length=64)] = None,
        status: RunStatus | None = None,
    ) -> RunbookRunList:
        """Lists the runs that the caller's tenant has requested, newest first."""
        found = runbooks.page(RunbookFilter(tenant_id, runbook_id, status), skip=page.skip, limit=page.limit)
        return RunbookRunList.model_validate(
            {"data": [_summary(row) for row in found.runs], "pagination": page.pagination(found.total)}
        )

    @routes.get("/runbooks/runs/{run_id}", dependencies=[fresh("runbooks")])
    def get_runbook_run(run_id: _RunId, tenant_id: CurrentTenant) -> RunbookRun:
        """Returns a run with its steps: their status, times, attempts, results and errors."""
        found = runbooks.get(tenant_id, run_id)
        return RunbookRun.model_validate(
            {**_summary(found.row), "steps": _steps(found), "progress": runbooks.progress(found)}
        )

    return routes


def requested_run(run: RequestedRun) -> RunbookRunSummary:
    """Return a run as it was requested."""
    asked, ended = run.asked, run.ended
    return RunbookRunSummary.model_validate(
        {
            "run_id": asked.run_id,
            "runbook_id": asked.runbook_id,
            "status": ended.status if ended else "running",
            "dry_run": asked.dry_run,
            "parameters": asked.parameters,
            "approval_id": run.approval_id,
            "requested_by": asked.by,
            "requested_at": asked.at,
            "ended_at": ended.at if ended else None,
            "error": _error(ended.code, ended.error) if ended else None,
        }
    )


def _info(runbook: Runbook) -> RunbookInfo:
    return RunbookInfo(
        id=runbook.id,
        summary=runbook.summary,
        danger=runbook.danger,
        approval_risk=runbook.risk,
        parameters=runbook.parameters.model_json_schema(),
        steps=[RunbookStepInfo.model_validate(step) for step in runbook.steps],
    )


def _summary(row: RunbookRunRow) -> dict[str, Any]:
    return {
        "run_id": row.run_id,
        "runbook_id": row.runbook_id,
        "status": row.status,
        "dry_run": row.dry_run,
        "parameters": row.parameters,
        "approval_id": row.approval_id,
        "requested_by": row.requested_by,
        "requested_at": row.requested_at,
        "ended_at": row.ended_at,
        "error": _error(row.code, row.error),
    }


def _steps(found: RunbookRunView) -> list[dict[str, Any]]:
    """Return all steps in their order, those to come as well; after the end of the run these are skipped."""
    begun = {row.step: row for row in found.steps}
    runbook = RUNBOOKS.get(found.row.runbook_id)
    steps = runbook.steps if runbook else tuple(StepDefinition(row.step, "") for row in found.steps)
    absent = "pending" if found.row.ended_at is None else "skipped"
    return [_step(step, begun.get(step.name), absent) for step in steps]


def _step(step: StepDefinition, row: RunbookStepRow | None, absent: str) -> dict[str, Any]:
    return {
        "name": step.name,
        "summary": step.summary,
        "status": row.status if row else absent,
        "attempts": row.attempts if row else 0,
        "started_at": row.started_at if row else None,
        "ended_at": row.ended_at if row else None,
        "result": row.result if row else None,
        "error": _error(row.code, row.error) if row else None,
    }


def _error(code: str | None, message: str | None) -> Mapping[str, str] | None:
    return {"code": code, "message": message or ""} if code else None
