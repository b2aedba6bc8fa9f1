"""Folding of events by a rebuild: in memory, or in the shadow tables if a row does not fit its table."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from adapters.postgres.ledger import log
from adapters.postgres.ledger.log import Connection
from adapters.postgres.projections import shadow_tables
from adapters.postgres.projections.rows import LiveRows, RowsInMemory, delete, upsert
from domain.events import EventRegistry
from domain.projection import Projection, Row

_READ = 10_000
_BATCH = 500


@dataclass(slots=True)
class FoldState:
    """The state of a fold: its position, the number of events, and dead letters by position, with stream and error."""

    position: int = 0
    events: int = 0
    dead: dict[int, tuple[str, str]] = field(default_factory=dict)
    dead_streams: set[str] = field(default_factory=set)

    def set_aside(self, row: log.StoredRow, error: str) -> None:
        self.dead[row[0]] = (row[1], error)
        self.dead_streams.add(row[1])

    def copy(self) -> "FoldState":
        return FoldState(self.position, self.events, dict(self.dead), set(self.dead_streams))


class Fold(ABC):
    """Folds a projection's events into the shadow tables, with the rules of the runner."""

    def __init__(self, registry: EventRegistry, projection: Projection) -> None:
        self._registry = registry
        self._projection = projection
        self.stands = FoldState()

    def fold_to(self, connection: Connection, position: int) -> None:
        """Fold all events up to this position."""
        while stored := log.read_after(connection, self.stands.position, _READ, up_to=position):
            self._fold(connection, stored)
            self.stands.position = stored[-1][0]
            self.stands.events += len(stored)
        self.stands.position = max(self.stands.position, position)

    @abstractmethod
    def _fold(self, connection: Connection, stored: Sequence[log.StoredRow]) -> None: ...

    @abstractmethod
    def rows_to_copy(self, kind: type[Row]) -> Iterable[Row]:
        """Return all rows to copy into a table, which is still empty."""

    @abstractmethod
    def write(self, connection: Connection) -> None:
        """Write the folded changes to the tables. They may be rolled back until they are confirmed."""

    @abstractmethod
    def confirm(self) -> None:
        """Confirm that the written changes are committed."""

    @abstractmethod
    def reset(self, stood: FoldState) -> None:
        """Reset the state to `stood`: everything folded and written since was rolled back."""


class FoldInMemory(Fold):
    """Keeps all rows in memory: fast, but does not see that a row does not fit its table."""

    def __init__(self, registry: EventRegistry, projection: Projection) -> None:
        super().__init__(registry, projection)
        self._rows = RowsInMemory()

    def _fold(self, connection: Connection, stored: Sequence[log.StoredRow]) -> None:
        del connection
        for row in stored:
            if row[1] in self.stands.dead_streams:
                self.stands.set_aside(row, log.EARLIER_SET_ASIDE)
                continue
            try:
                with self._rows.one_event():
                    self._projection.project(log.decode(self._registry, row), self._rows)
            except Exception as error:  # noqa: BLE001  (the dead-letter rule: set it aside and go on)
                self.stands.set_aside(row, repr(error))

    def rows_to_copy(self, kind: type[Row]) -> Iterable[Row]:
        return self._rows.all(kind)

    def write(self, connection: Connection) -> None:
        for kind, keys in self._rows.changed.items():
            rows = {key: self._rows.get(kind, *key) for key in keys}
            table = shadow_tables.shadow_name(kind.TABLE)
            upsert(connection, kind, [row for row in rows.values() if row is not None], table)
            delete(connection, kind, [key for key, row in rows.items() if row is None], table)

    def confirm(self) -> None:
        self._rows.changed.clear()

    def reset(self, stood: FoldState) -> None:
        """Do nothing: the rows in memory are valid, and all changes since the last confirmation are written again."""


class FoldInTables(Fold):
    """Writes batch by batch, and event by event where a batch fails: slow, but exactly like the runner."""

    def _fold(self, connection: Connection, stored: Sequence[log.StoredRow]) -> None:
        for start in range(0, len(stored), _BATCH):
            batch = stored[start : start + _BATCH]
            stood = self.stands.copy()
            if self._try_fold(connection, batch) is not None:
                self.stands = stood
                for row in batch:
                    if error := self._try_fold(connection, [row]):
                        self.stands.set_aside(row, error)

    def _try_fold(self, connection: Connection, stored: Sequence[log.StoredRow]) -> str | None:
        """Fold and write these events together; return the error if it is their fault."""
        rows = LiveRows(connection, shadow_tables.shadow_name)
        try:
            with connection.transaction():
                for row in stored:
                    if row[1] in self.stands.dead_streams:
                        self.stands.set_aside(row, log.EARLIER_SET_ASIDE)
                    else:
                        self._projection.project(log.decode(self._registry, row), rows)
                rows.flush()
        except Exception as error:  # projections may raise anything; only faults of the event are set aside
            if not log.is_event_fault(error):
                raise
            return repr(error)
        return None

    def rows_to_copy(self, kind: type[Row]) -> Iterable[Row]:
        """Return no rows: they are written while they are folded."""
        del kind
        return ()

    def write(self, connection: Connection) -> None:
        """Do nothing: the changes are written while they are folded."""

    def confirm(self) -> None:
        """Do nothing: the changes are committed already."""

    def reset(self, stood: FoldState) -> None:
        self.stands = stood
