"""Ports of the workflow catalogue."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from domain.graphflow.catalogue.projection import WorkflowRow, WorkflowVersionRow


@dataclass(frozen=True, slots=True)
class WorkflowFilter:
    """A filter; None matches all but retired workflows, which have to be requested. `q` is a substring."""

    status: Literal["active", "retired"] | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class Runs:
    """Statistics of a workflow's newest runs, 1,000 at most, whoever started them.

    `ended` excludes cancelled ones, and `success_rate` is the share of it that completed, 0 to 1; the durations are of
    completed ones, in seconds. None where there is no data.
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
class SeenWorkflow:
    """A workflow and the statistics of its runs."""

    row: WorkflowRow
    runs: Runs = Runs()


@dataclass(frozen=True, slots=True)
class WorkflowPage:
    """A page of workflows in the order of their ids; `total` counts all that match the filter."""

    workflows: list[SeenWorkflow]
    total: int


@dataclass(frozen=True, slots=True)
class WorkflowVersionPage:
    """A page of a workflow's versions, newest first; `total` counts them all."""

    versions: list[WorkflowVersionRow]
    total: int


class WorkflowReads(Protocol):
    """The catalogue, up to the projection's position."""

    def page(self, wanted: WorkflowFilter, *, skip: int, limit: int) -> WorkflowPage: ...

    def get(self, workflow_id: str) -> SeenWorkflow:
        """Return one workflow, retired or not.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def version(self, workflow_id: str, version: int) -> WorkflowVersionRow:
        """Return one version.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def versions(self, workflow_id: str, *, skip: int, limit: int) -> WorkflowVersionPage: ...

    def named(self, wanted: Iterable[tuple[str, int | None]]) -> Mapping[tuple[str, int | None], WorkflowVersionRow]:
        """Return versions of active workflows by id and number; None stands for the newest. A missing one is absent."""
        ...
