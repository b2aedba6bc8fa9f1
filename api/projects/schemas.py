"""Request and response models of projects."""

from datetime import date
from decimal import Decimal
from typing import Any

from pydantic import ConfigDict, Field

from api.http.schemas import Body, Listing, Money, Timestamp, View
from domain.projects import profile as fields
from domain.projects.commands import ProjectDraft
from domain.projects.ports import ProjectView
from domain.projects.profile import PLAN, TEXTS, ProjectPlan, ProjectTexts

_TEXTS = ConfigDict(str_strip_whitespace=True)


class NewProject(Body):
    """A project to create. `members` are ids of talents; each counts once. Spaces around texts are removed."""

    model_config = _TEXTS

    name: fields.Name
    description: fields.Description | None = None
    status: fields.Status = "planning"
    client_id: fields.RecordId | None = None
    budget_usd: fields.Budget | None = None
    start_date: fields.Day | None = None
    end_date: fields.Day | None = None
    members: fields.Members = ()

    def draft(self) -> ProjectDraft:
        """Return what the command creates."""
        plan = ProjectPlan.model_validate({name: getattr(self, name) for name in PLAN})
        return ProjectDraft(ProjectTexts(self.name, self.description or None), plan)


def _absent() -> Any:
    return None


class ProjectChanges(Body):
    """Changes to a project: fields left out stay; `null` removes a value. `members` replaces all members."""

    model_config = _TEXTS

    name: fields.Name = Field(default_factory=_absent)
    description: fields.Description | None = Field(default_factory=_absent)
    status: fields.Status = Field(default_factory=_absent)
    client_id: fields.RecordId | None = Field(default_factory=_absent)
    budget_usd: fields.Budget | None = Field(default_factory=_absent)
    start_date: fields.Day | None = Field(default_factory=_absent)
    end_date: fields.Day | None = Field(default_factory=_absent)
    members: fields.Members = Field(default_factory=_absent)

    def changes(self) -> dict[str, Any]:
        """Return the fields that change."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {**given, "description": given["description"] or None} if "description" in given else given


class Project(View):
    """A project. `version` counts every change. Texts are null after an erasure.

    Chats, swarms and executions whose `context.project_id` is this id, as a number or a text, are linked to it.
    """

    id: int
    name: str | None
    description: str | None
    status: fields.Status
    client_id: int | None
    budget_usd: Money | None
    start_date: date | None
    end_date: date | None
    members: list[int]
    created_at: Timestamp
    updated_at: Timestamp
    version: int


class ProjectList(Listing):
    """Projects in the order of their ids."""

    data: list[Project]


class BudgetUse(View):
    """The use of the budget. `spent` is the cost of all linked calls, `reserved` the worst case of open ones.

    `remaining` is what neither has used: negative if the budget is exceeded. `used` is the share that is spent; without
    a budget, or with one of 0, it is null.
    """

    budget_usd: Money | None
    spent: Money
    reserved: Money
    remaining: Money | None
    used: float | None


class ProjectFigures(View):
    """Usage: figures of model calls as in `/cost-management/usage`, and the number of conversations and runs."""

    cost: Money
    tokens: int
    requests: int
    failed: int
    unknown: int
    conversations: int
    turns: int
    executions: int
    swarms: int


class DailyFigures(ProjectFigures):
    """Usage of one day of the time zone."""

    date: date


class ProjectAnalytics(View):
    """Everything that is linked to a project: in all, and day by day without gaps."""

    project_id: int
    totals: ProjectFigures
    budget: BudgetUse
    time_zone: str
    period_start: date
    period_end: date
    daily: list[DailyFigures]


def to_project(view: ProjectView) -> Project:
    """Return the response for a project."""
    texts = {name: getattr(view.texts, name) if view.texts else None for name in TEXTS}
    own = {name: getattr(view, name) for name in ("id", "created_at", "updated_at", "version")}
    return Project.model_validate({**texts, **view.plan.model_dump(), **own})


def to_budget(budget: Decimal | None, spent: Decimal, reserved: Decimal) -> BudgetUse:
    """Return the use of the budget."""
    return BudgetUse(
        budget_usd=budget,
        spent=spent,
        reserved=reserved,
        remaining=None if budget is None else budget - spent - reserved,
        used=float(round(spent / budget, 6)) if budget else None,
    )
