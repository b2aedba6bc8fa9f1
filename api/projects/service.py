"""The services that the routes of projects call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from api.http.dependencies import Positions
from api.http.request_context import RequestContext
from api.projects.csv_documents import from_csv
from api.projects.schemas import DailyFigures, ProjectAnalytics, ProjectFigures, to_budget
from api.tables.csv_tables import ImportResult, finish_import, sent_table
from domain.events import Cause
from domain.projects.bulk_import import ProjectImport
from domain.projects.commands import ProjectCommands
from domain.projects.past import ProjectPast
from domain.projects.ports import ProjectReads, ProjectUsageReads
from domain.records.bulk_imports import ImportedRecords
from domain.usage import UsageFigures, UsagePeriod, usage_days


@dataclass(frozen=True, slots=True)
class ProjectService:
    """Commands, past and views of projects."""

    commands: ProjectCommands
    past: ProjectPast
    bulk: ProjectImport
    positions: Positions
    projects: ProjectReads
    usage: ProjectUsageReads
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Return the cause of a change: the caller, the request and the time."""
        return request.cause(self.now())

    async def import_csv(self, request: RequestContext, key: str | None) -> ImportResult:
        """Create the projects of the request's table, all or none.

        Raises:
            domain.errors.Invalid: a row is not valid.
        """
        sent, cause = sent_table(request, key), self.cause(request)

        def work() -> ImportedRecords:
            return self.bulk.run(from_csv(sent.text), cause, key=sent.key)

        return await finish_import(work, self.positions, "projects", request)

    def analytics(
        self, tenant_id: str, project_id: int, first: date | None, last: date | None, time_zone: str
    ) -> ProjectAnalytics:
        """Return what is linked to a project.

        Raises:
            domain.errors.NotFound: there is no such project.
            domain.errors.Invalid: the time zone is unknown, or the period is not valid.
        """
        project, name = self.commands.get(tenant_id, project_id), str(project_id)
        days = usage_days(first, last, self.usage.today(self.now(), time_zone))
        total = self.usage.total(tenant_id, name)
        daily = self.usage.daily(tenant_id, name, UsagePeriod(*days, time_zone))
        return ProjectAnalytics(
            project_id=project_id,
            totals=ProjectFigures.model_validate(total),
            budget=to_budget(project.plan.budget_usd, total.cost, total.open_cost),
            time_zone=time_zone,
            period_start=days[0],
            period_end=days[1],
            daily=[DailyFigures(date=each.day, **_figures(each.usage)) for each in daily],
        )


def _figures(usage: UsageFigures) -> dict[str, Any]:
    return {name: getattr(usage, name) for name in ProjectFigures.model_fields}
