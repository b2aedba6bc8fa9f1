"""Ports of projects: reading them, and the existence of what they name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from domain.projects.profile import ProjectPlan, ProjectTexts, Status
from domain.usage import DayOfUsage, UsageFigures, UsagePeriod


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project with its texts; `texts` is None if they were erased."""

    id: int
    plan: ProjectPlan
    created_at: datetime
    updated_at: datetime
    version: int
    texts: ProjectTexts | None


@dataclass(frozen=True, slots=True)
class ProjectFilter:
    """The projects of one tenant; None lets all of them through.

    `member_id` is a talent. Every one of `terms` occurs in name or description.
    """

    tenant_id: str
    status: Status | None = None
    client_id: int | None = None
    member_id: int | None = None
    terms: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """A page of projects in the order of their ids; `total` counts all that match the filter."""

    projects: list[ProjectView]
    total: int


class ProjectReads(Protocol):
    """The projects that are not deleted, as far as the projection has come."""

    def page(self, wanted: ProjectFilter, *, skip: int, limit: int) -> ProjectPage: ...

    def all(self, wanted: ProjectFilter) -> Iterator[ProjectView]:
        """Yield all projects that match, in the order of their ids, in portions that are read one after another."""
        ...


class KnownRecords(Protocol):
    """The records of a kind, such as clients."""

    def find_existing(self, tenant_id: str, ids: Sequence[int], /) -> set[int]:
        """Return those of the ids that the tenant has and that are not deleted."""
        ...


class ProjectUsageReads(Protocol):
    """Everything whose `context.project_id` names a project, as far as the projections have come."""

    def total(self, tenant_id: str, project_id: str) -> UsageFigures:
        """Return the usage since the beginning."""
        ...

    def daily(self, tenant_id: str, project_id: str, period: UsagePeriod) -> list[DayOfUsage]:
        """Return the usage of each day of the period, without gaps.

        Raises:
            domain.errors.Invalid: the time zone is unknown.
        """
        ...

    def today(self, moment: datetime, time_zone: str) -> date:
        """Return the day of the moment in the time zone.

        Raises:
            domain.errors.Invalid: the time zone is unknown.
        """
        ...
