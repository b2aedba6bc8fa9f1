"""Request and response models of administration."""

from typing import Annotated

from pydantic import Field

from api.http.schemas import Body, Timestamp, View
from domain.runbooks.catalogue import CACHE_ROOT

_Table = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z_][a-z0-9_]*$")]


class VacuumRequest(Body):
    """The tables to vacuum; all without any. With `analyze` their statistics are renewed as well."""

    tables: Annotated[list[_Table], Field(default_factory=list, max_length=200)]
    analyze: bool = False


class CacheClearing(Body):
    """The prefix of the cached values to remove. All caches are below `convergio:cache:`."""

    prefix: Annotated[str, Field(max_length=200, pattern=r"^convergio:cache:[A-Za-z0-9:_.~-]*$")] = CACHE_ROOT


class ClearedCache(View):
    """The number of values that were removed."""

    prefix: str
    removed: int


class PlatformInfo(View):
    """This process, and the versions of what it runs on; null where a server does not answer."""

    version: str
    python: str
    postgresql: str | None
    temporal: str | None
    valkey: str | None


class QueueWorker(View):
    """A worker that polls a queue, by its identity, which `drain-worker` takes. `build_id` with worker versioning."""

    worker: str
    last_seen_at: Timestamp | None
    build_id: str | None


class QueueInfo(View):
    """A task queue of workflows or of activities. Temporal lists a worker for five minutes after its last poll.

    `backlog` approximates the number of waiting tasks, `backlog_age_s` the age of the oldest in seconds.
    """

    queue: str
    kind: str
    workers: list[QueueWorker]
    backlog: int
    backlog_age_s: float


class ProjectionInfo(View):
    """A projection: its position in the ledger, the events behind, and those set aside."""

    name: str
    position: int
    lag: int
    dead_letters: int
    moved_at: Timestamp | None


class DatabaseInfo(View):
    """The database: its size on disk, the connections of all clients, and the tables' migrations."""

    total_bytes: int
    connections: int
    max_connections: int
    migrations: int
    newest_migration: str | None


class PoolInfo(View):
    """The connections to the database of the process that answers."""

    size: int
    maximum: int
    idle: int
    waiting: int


class ValkeyInfo(View):
    """Valkey. `cached_keys` are those that clearing the cache would remove."""

    used_memory_bytes: int
    clients: int
    keys: int
    cached_keys: int


class DiskInfo(View):
    """The data directory of the machine that answers, and the file system it is on, in bytes."""

    path_bytes: int
    total_bytes: int
    free_bytes: int


class SystemInfo(View):
    """The state of the system. A part whose server does not answer is null, and named in `unreachable`."""

    platform: PlatformInfo
    queues: list[QueueInfo] | None
    ledger_head: int | None
    projections: list[ProjectionInfo] | None
    database: DatabaseInfo | None
    pool: PoolInfo
    valkey: ValkeyInfo | None
    disk: DiskInfo | None
    unreachable: list[str]
