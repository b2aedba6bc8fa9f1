"""Request and response models of runbooks."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from api.http.schemas import Body, Pagination, Timestamp, View
from domain.runbooks.catalogue import Risk
from domain.runbooks.projection import RunStatus


class RunbookExecution(Body):
    """The parameters of a run, as `GET /api/v1/governance/runbooks` describes them. A dry run changes nothing."""

    parameters: Annotated[dict[str, JsonValue], Field(default_factory=dict, max_length=20)]
    dry_run: bool = False


class RunbookStepInfo(View):
    """A step of a runbook. Those that change something only tell in a dry run what they would do."""

    name: str
    summary: str
    changes: bool


class RunbookInfo(View):
    """A runbook. With `approval_risk` a run waits for an approval of that risk before its first change."""

    id: str
    summary: str
    danger: str
    approval_risk: Risk | None
    parameters: dict[str, Any]
    steps: list[RunbookStepInfo]


class RunbookCatalogue(View):
    """All runbooks, by id."""

    data: list[RunbookInfo]
    pagination: Pagination


class RunbookError(View):
    """The reason why a step or a run failed."""

    code: str
    message: str


class RunbookStep(View):
    """A step of a run. `attempts` counts its starts: more than one where a worker was lost, up to 20."""

    name: str
    summary: str
    status: Literal["pending", "running", "completed", "failed", "skipped"]
    attempts: int
    started_at: Timestamp | None
    ended_at: Timestamp | None
    result: dict[str, Any] | None
    error: RunbookError | None


class RunbookRunSummary(View):
    """A run of a runbook."""

    run_id: str
    runbook_id: str
    status: RunStatus
    dry_run: bool
    parameters: dict[str, Any]
    approval_id: str | None
    requested_by: str
    requested_at: Timestamp
    ended_at: Timestamp | None
    error: RunbookError | None


class TableVacuum(View):
    """A vacuum under way, as PostgreSQL reports it: blocks of the table, and those scanned so far."""

    table: str
    phase: str
    blocks_total: int
    blocks_scanned: int


class RunbookRun(RunbookRunSummary):
    """A run with its steps. `progress` are the vacuums under way, while a run of `vacuum` is."""

    steps: list[RunbookStep]
    progress: list[TableVacuum]


class RunbookRunList(View):
    """A page of runs, newest first."""

    data: list[RunbookRunSummary]
    pagination: Pagination
