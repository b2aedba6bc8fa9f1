"""Ports of runbooks: their views, and what their steps work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.runbooks.projection import RunbookRunRow, RunbookStepRow, RunStatus


@dataclass(frozen=True, slots=True)
class RunbookFilter:
    """The runs of one tenant; None lets all of them through."""

    tenant_id: str
    runbook_id: str | None = None
    status: RunStatus | None = None


@dataclass(frozen=True, slots=True)
class RunbookPage:
    """A page of runs, newest first; `total` counts all that match."""

    runs: list[RunbookRunRow]
    total: int


@dataclass(frozen=True, slots=True)
class RunbookRunView:
    """A run with the steps that have begun, in the order of their start."""

    row: RunbookRunRow
    steps: list[RunbookStepRow]


class RunbookReads(Protocol):
    """Runs of runbooks, up to the projection's position."""

    def page(self, wanted: RunbookFilter, *, skip: int, limit: int) -> RunbookPage: ...

    def get(self, tenant_id: str, run_id: str) -> RunbookRunView | None: ...

    def read_running(self, limit: int) -> list[str]:
        """Return the ids of runs of all tenants that have not ended, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class BackupSummary:
    """The whole backups in the operator's directory: their number, the moment and the bytes of the newest."""

    count: int
    newest_moment: datetime | None = None
    newest_bytes: int = 0


class BackupMaintenance(Protocol):
    """Backups in the directory that the operator has set. Both raise `domain.errors.Conflict` if there is none."""

    def summary(self) -> BackupSummary: ...

    def make(self) -> int:
        """Make a backup, remove those that are kept no longer, and return the number of removed ones.

        Raises:
            domain.errors.Conflict: it cannot be made; the log says why.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProjectionProgress:
    """A projection: its position in the ledger, whose head is `head`, and the events that it has set aside."""

    name: str
    position: int
    head: int
    dead_letters: int
    moved_at: datetime | None


@dataclass(frozen=True, slots=True)
class RebuiltTable:
    """A table, live and rebuilt at the same position."""

    table: str
    live_rows: int
    rebuilt_rows: int
    equal: bool


@dataclass(frozen=True, slots=True)
class ProjectionRebuild:
    """The result of a rebuild."""

    events: int
    position: int
    set_aside: int
    tables: tuple[RebuiltTable, ...]


class ProjectionMaintenance(Protocol):
    """The projections of this deployment. All methods raise `domain.errors.Unavailable` without the database."""

    def names(self) -> Sequence[str]: ...

    def states(self) -> list[ProjectionProgress]:
        """Return every projection that has ever run, by name."""
        ...

    def rebuild(self, name: str, *, swap: bool) -> ProjectionRebuild:
        """Fold the whole ledger into new tables; without `swap` they are only compared with the live ones.

        Raises:
            domain.errors.Conflict: another process is rebuilding it.
        """
        ...


@dataclass(frozen=True, slots=True)
class TableState:
    """A table of the platform with its bytes on disk, by PostgreSQL's own estimates of rows."""

    name: str
    total_bytes: int
    live_rows: int
    dead_rows: int


@dataclass(frozen=True, slots=True)
class VacuumProgress:
    """A vacuum under way, in blocks of the table."""

    table: str
    phase: str
    blocks_total: int
    blocks_scanned: int


class TableMaintenance(Protocol):
    """The tables of the platform. All methods raise `domain.errors.Unavailable` without the database."""

    def tables(self) -> list[TableState]:
        """Return all tables of the platform, by name."""
        ...

    def vacuum(self, table: str, *, analyze: bool) -> None:
        """Vacuum a table.

        Raises:
            domain.errors.NotFound: the platform has no such table.
        """
        ...

    def progress(self) -> list[VacuumProgress]:
        """Return the vacuums of this database that are under way."""
        ...


class CacheMaintenance(Protocol):
    """The caches in Valkey. Both methods raise `domain.errors.Unavailable` where it cannot be reached."""

    async def count(self, prefix: str) -> int: ...

    async def clear(self, prefix: str) -> int:
        """Remove the keys below a prefix of caches, and return their number."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerDrain:
    """A worker that was told to stop polling; `drained_at` is when its work had ended."""

    worker: str
    run_id: str
    requested_at: datetime
    drained_at: datetime | None


class WorkerDrains(Protocol):
    """Which workers stop polling. All methods raise `domain.errors.Unavailable` without the database."""

    def request(self, worker: str, run_id: str) -> None:
        """Tell a worker to stop polling, once."""
        ...

    def find(self, worker: str) -> WorkerDrain | None: ...

    def forget(self, worker: str) -> None:
        """Forget that a worker was told to stop: one of the same identity starts now."""
        ...

    def mark_drained(self, worker: str) -> None:
        """Record that a worker polls no more, and that its work has ended."""
        ...


@dataclass(frozen=True, slots=True)
class QueuePoller:
    """A worker that polls a queue. `build_id` is None without worker versioning."""

    worker: str
    last_seen_at: datetime | None
    build_id: str | None


@dataclass(frozen=True, slots=True)
class QueueState:
    """A task queue of one kind of work, `workflow` or `activity`: who polls it, and what waits there.

    `backlog_age_s` is the age of the oldest waiting task in seconds. Both figures are Temporal's approximations.
    """

    queue: str
    kind: str
    pollers: tuple[QueuePoller, ...]
    backlog: int
    backlog_age_s: float


class TaskQueues(Protocol):
    """The task queues in Temporal."""

    async def states(self) -> list[QueueState]:
        """Return all queues of the platform.

        Raises:
            domain.errors.Unavailable: Temporal cannot be reached.
        """
        ...


class OverdueApprovals(Protocol):
    """Approvals of all tenants whose time has passed."""

    def overdue(self, at: datetime, limit: int) -> list[str]:
        """Return the ids of open approvals that expire before `at`, the longest overdue first."""
        ...

    def count_overdue(self, at: datetime) -> int: ...
