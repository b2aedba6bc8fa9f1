"""The state of the servers that the platform runs on, as far as they can be asked."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PoolState:
    """The database connections of this process: open ones, those at rest, and callers that wait for one."""

    size: int
    maximum: int
    idle: int
    waiting: int


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """PostgreSQL. `connections` are those of all clients."""

    version: str
    total_bytes: int
    connections: int
    max_connections: int
    migrations: int
    newest_migration: str | None


@dataclass(frozen=True, slots=True)
class ValkeyState:
    """Redis or Valkey. `cached_keys` are those that `POST /admin/cache/clear` would remove."""

    version: str
    used_memory_bytes: int
    clients: int
    keys: int
    cached_keys: int


@dataclass(frozen=True, slots=True)
class DiskState:
    """The data directory of this machine, and the file system that it is on, in bytes."""

    path_bytes: int
    total_bytes: int
    free_bytes: int


class DatabaseInspection(Protocol):
    """The state of the database. Both methods may wait for the server."""

    def state(self) -> DatabaseState:
        """Return the state of the server.

        Raises:
            domain.errors.Unavailable: it cannot be reached.
        """
        ...

    def pool(self) -> PoolState:
        """Return the connections of this process."""
        ...


class ValkeyInspection(Protocol):
    """The state of Valkey."""

    async def state(self) -> ValkeyState:
        """Return the state of the server.

        Raises:
            domain.errors.Unavailable: it cannot be reached, or there is none.
        """
        ...


class TemporalInspection(Protocol):
    """The state of Temporal."""

    async def version(self) -> str:
        """Return the version of the server.

        Raises:
            domain.errors.Unavailable: it cannot be reached.
        """
        ...


class DiskInspection(Protocol):
    """The disk of this process."""

    def state(self) -> DiskState | None:
        """Return the state of the data directory; None where this machine has none."""
        ...
