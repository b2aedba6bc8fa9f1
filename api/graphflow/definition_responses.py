"""Response models of workflow definitions."""

from typing import Any, Literal

from api.http.schemas import Listing, Money, Pagination, Timestamp, View
from domain.graphflow.catalogue.commands import WorkflowState
from domain.graphflow.catalogue.ports import WorkflowView
from domain.graphflow.catalogue.projection import WorkflowVersionRow
from domain.graphflow.validation.problems import Validation


class WorkflowSummary(View):
    """A workflow. `steps` is the number of its nodes; `ready_made`: it is part of the platform.

    The figures are of its newest executions, 1,000 at most: `runs` is their number; `success_rate`, 0 to 1, is the
    share of completed ones among those that ended and were not cancelled; the durations, in seconds, are of completed
    ones. Null without any.
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


class WorkflowDetail(WorkflowSummary):
    """A workflow and its newest definition. `version` is that definition's number."""

    definition: dict[str, Any]


class DefinitionProblem(View):
    """A problem of a definition, its place and the fix: `where` is like `node draft` or `edge draft -> review`."""

    code: str
    where: str
    field: str
    message: str
    fix: str


class ValidationResult(View):
    """The result of a validation, with the upper bounds of one execution: null if the definition cannot run."""

    valid: bool
    errors: list[DefinitionProblem]
    warnings: list[DefinitionProblem]
    worst_case_cost_usd: Money | None
    worst_case_model_calls: int | None


class WrittenWorkflow(View):
    """A workflow after a change. `version` is the number of its newest definition."""

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
    """An imported workflow. `notes` list the differences from the original."""

    notes: list[str]


class WorkflowVersion(View):
    """One complete definition; its author and time, and their note on the changes."""

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


def to_workflow_summary(seen: WorkflowView) -> WorkflowSummary:
    return WorkflowSummary.model_validate(_facts(seen))


def to_workflow_detail(seen: WorkflowView, newest: WorkflowVersionRow) -> WorkflowDetail:
    return WorkflowDetail.model_validate({**_facts(seen), "definition": newest.definition})


def _facts(seen: WorkflowView) -> dict[str, Any]:
    row, runs = seen.row, seen.runs
    own = {name: getattr(row, name) for name in WorkflowSummary.model_fields if hasattr(row, name)}
    return {
        **own,
        "success_rate": runs.success_rate,
        "runs": runs.total,
        "duration_p50_s": runs.p50_s,
        "duration_p95_s": runs.p95_s,
    }


def to_written_workflow(standing: WorkflowState, validation: Validation) -> WrittenWorkflow:
    """Return the response for a workflow loaded from its stream."""
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
        validation=to_validation_result(validation),
    )


def to_validation_result(validation: Validation) -> ValidationResult:
    worst = validation.worst_case
    return ValidationResult(
        valid=validation.valid,
        errors=[DefinitionProblem.model_validate(each) for each in validation.errors],
        warnings=[DefinitionProblem.model_validate(each) for each in validation.warnings],
        worst_case_cost_usd=worst.cost_usd if worst else None,
        worst_case_model_calls=worst.model_calls if worst else None,
    )
