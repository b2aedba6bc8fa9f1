"""How workflows look over HTTP."""

from typing import Any, Literal

from api.http.schemas import Listing, Money, Pagination, Timestamp, View
from domain.graphflow.catalogue.commands import Standing
from domain.graphflow.catalogue.ports import SeenWorkflow
from domain.graphflow.catalogue.projection import WorkflowVersionRow
from domain.graphflow.validation.problems import Validation


class WorkflowSummary(View):
    """A workflow. `steps` are its nodes; `ready_made`: it came with the platform.

    The figures are of its newest runs, 1,000 at most: `runs` began; `success_rate`, 0 to 1, is the share of those that
    completed of all that ended and were not cancelled; the durations, in seconds, are of those that completed. Null
    before there are any.
    """

    id: str
    name: str
    description: str
    status: Literal["active", "retired"]
    steps: int
    success_rate: float | None
    created_at: Timestamp
    version: int
    updated_at: Timestamp
    ready_made: bool
    fingerprint: str
    runs: int
    duration_p50_s: float | None
    duration_p95_s: float | None


class WorkflowList(Listing):
    """Workflows in the order of their ids."""

    workflows: list[WorkflowSummary]


class Workflow(WorkflowSummary):
    """A workflow and its newest definition. `version` is that definition's number."""

    definition: dict[str, Any]


class Problem(View):
    """What is wrong, where, and what to do about it: `where` is as in `node draft` or `edge draft -> review`."""

    code: str
    where: str
    field: str
    message: str
    fix: str


class ValidationResult(View):
    """Whether a definition can run, and what one run takes at most. The worst case is null where it cannot."""

    valid: bool
    errors: list[Problem]
    warnings: list[Problem]
    worst_case_cost_usd: Money | None
    worst_case_model_calls: int | None


class WrittenWorkflow(View):
    """A workflow as it was written down. `version` is its newest definition's number."""

    id: str
    name: str
    description: str
    status: Literal["active", "retired"]
    steps: int
    version: int
    created_at: Timestamp
    updated_at: Timestamp
    fingerprint: str
    note: str | None
    definition: dict[str, Any]
    validation: ValidationResult


class ImportedWorkflow(WrittenWorkflow):
    """A workflow that came from elsewhere. `notes` say what is different now."""

    notes: list[str]


class WorkflowVersion(View):
    """One definition, whole; who wrote it, when, and what is new in it, in their words."""

    workflow_id: str
    version: int
    definition: dict[str, Any]
    fingerprint: str
    note: str | None
    made_by: str
    created_at: Timestamp


class WorkflowVersions(View):
    """Definitions, newest first."""

    data: list[WorkflowVersion]
    pagination: Pagination


def summary(seen: SeenWorkflow) -> WorkflowSummary:
    return WorkflowSummary.model_validate(_facts(seen))


def whole(seen: SeenWorkflow, newest: WorkflowVersionRow) -> Workflow:
    return Workflow.model_validate({**_facts(seen), "definition": newest.definition})


def _facts(seen: SeenWorkflow) -> dict[str, Any]:
    row, runs = seen.row, seen.runs
    own = {name: getattr(row, name) for name in WorkflowSummary.model_fields if hasattr(row, name)}
    return {
        **own,
        "success_rate": runs.success_rate,
        "runs": runs.total,
        "duration_p50_s": runs.p50_s,
        "duration_p95_s": runs.p95_s,
    }


def written(standing: Standing, validation: Validation) -> WrittenWorkflow:
    """The workflow as its stream tells."""
    workflow = standing.workflow
    newest = workflow.newest
    return WrittenWorkflow(
        id=standing.workflow_id,
        name=newest.document["name"],
        description=newest.document.get("description", ""),
        status="retired" if workflow.retired else "active",
        steps=len(newest.document["nodes"]),
        version=len(workflow.versions),
        created_at=workflow.versions[0].at,
        updated_at=workflow.changed_at or newest.at,
        fingerprint=newest.fingerprint,
        note=newest.note,
        definition=dict(newest.document),
        validation=result(validation),
    )


def result(validation: Validation) -> ValidationResult:
    worst = validation.worst_case
    return ValidationResult(
        valid=validation.valid,
        errors=[Problem.model_validate(each) for each in validation.errors],
        warnings=[Problem.model_validate(each) for each in validation.warnings],
        worst_case_cost_usd=worst.cost_usd if worst else None,
        worst_case_model_calls=worst.model_calls if worst else None,
    )
