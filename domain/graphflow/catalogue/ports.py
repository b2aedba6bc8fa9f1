"""Ports of the workflow catalogue."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.graphflow.catalogue.projection import WorkflowRow, WorkflowVersionRow


@dataclass(frozen=True, slots=True)
class WorkflowFilter:
    """The workflows that one tenant sees; None lets all through, but for retired ones, which have to be asked for.

    `q` is a part of a text.
    """

    tenant_id: str
    status: Literal["active", "retired"] | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """What became of a workflow's newest runs in the tenant, 1,000 at most, whoever began them.

    `ended` leaves out those that were cancelled, and `success_rate` is the share of it that completed, 0 to 1; the
    durations are of completed ones, in seconds. None where there is nothing to tell of.
    """

    total: int = 0
    ended: int = 0
    completed: int = 0
    p50_s: float | None = None
    p95_s: float | None = None

    @property
    def success_rate(self) -> float | None:
        return round(self.completed / self.ended, 4) if self.ended else None


@dataclass(frozen=True, slots=True)
class WorkflowView:
    """A workflow and the statistics of its runs."""

    row: WorkflowRow
    runs: RunStatistics = RunStatistics()


@dataclass(frozen=True, slots=True)
class WorkflowPage:
    """A page of workflows in the order of their ids; `total` counts all that match the filter."""

    workflows: list[WorkflowView]
    total: int


@dataclass(frozen=True, slots=True)
class WorkflowVersionPage:
    """A page of a workflow's versions, newest first; `total` counts them all."""

    versions: list[WorkflowVersionRow]
    total: int


class WorkflowReads(Protocol):
    """The catalogue, as far as the projection has come. A tenant sees its own workflows and the ready-made ones."""

    def page(self, wanted: WorkflowFilter, *, skip: int, limit: int) -> WorkflowPage: ...

    def get(self, tenant_id: str, workflow_id: str) -> WorkflowView:
        """Return one workflow, retired or not.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def version(self, tenant_id: str, workflow_id: str, version: int) -> WorkflowVersionRow:
        """Return one version.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def versions(self, tenant_id: str, workflow_id: str, *, skip: int, limit: int) -> WorkflowVersionPage: ...

    def versions_by_ref(
        self, tenant_id: str, wanted: Iterable[tuple[str, int | None]]
    ) -> Mapping[tuple[str, int | None], WorkflowVersionRow]:
        """Return versions of active workflows by id and number; None stands for the newest. A missing one is absent."""
        ...
