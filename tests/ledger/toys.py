"""A concept that exists for these tests only: counters, and the views of them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import psycopg

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.events import Event, EventRegistry, RecordedEvent
from domain.ids import random_id
from domain.ledger import Change, Ledger
from domain.projection import Key, Row, Rows

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
CAUSE = {"by": "key_1", "because": "req_1", "at": AT}


class Counted(Event):
    """A counter went up."""

    NAME = "toy.counted"
    counter: str
    step: int = 1
    note: Mapping[str, Any] = {}


class Spoiled(Event):
    """A counter that no view can take from here on."""

    NAME = "toy.spoiled"
    counter: str


class Emptied(Event):
    """A counter was thrown away."""

    NAME = "toy.emptied"
    counter: str


class Foreseen(Event):
    """An event of a later release: registries of today do not have it."""

    NAME = "toy.foreseen"
    counter: str


REGISTRY = EventRegistry((Counted, Spoiled, Emptied))


@dataclass(frozen=True, slots=True)
class CounterRow:
    """A column of every type that rows may have."""

    TABLE: ClassVar[str] = "toy_counters"
    KEY: ClassVar[tuple[str, ...]] = ("counter",)

    counter: str
    total: int
    exact: Decimal
    share: float
    even: bool
    names: list[str]
    note: dict[str, Any]
    day: date
    at: datetime
    nothing: str | None


@dataclass(frozen=True, slots=True)
class MarkRow:
    """One step of a counter: all its columns are its key."""

    TABLE: ClassVar[str] = "toy_marks"
    KEY: ClassVar[tuple[str, ...]] = ("counter", "total")

    counter: str
    total: int


TABLES = """
    CREATE TABLE toy_counters (
        counter text PRIMARY KEY, total integer NOT NULL CONSTRAINT not_too_many CHECK (total < 1000000),
        exact numeric NOT NULL, share double precision NOT NULL, even boolean NOT NULL, names text[] NOT NULL,
        note jsonb NOT NULL, day date NOT NULL, at timestamptz NOT NULL, nothing text
    );
    CREATE INDEX toy_counters_total ON toy_counters (total) WHERE even;
    CREATE INDEX toy_counters_day ON toy_counters (day, at DESC);
    CREATE TABLE toy_marks (counter text, total integer, PRIMARY KEY (counter, total));
"""


class ToyProjection:
    """Sums of the counters. `Spoiled` is too much for it while `strict`."""

    kinds: tuple[type[Row], ...] = (CounterRow, MarkRow)

    def __init__(self, name: str = "toys", *, strict: bool = True, factor: int = 1) -> None:
        self.name = name
        self._strict = strict
        self._factor = factor

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, Counted | Emptied):
            yield CounterRow, (recorded.event.counter,)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case Counted(counter=counter, step=step, note=note, at=at):
                row = rows.get(CounterRow, counter) or _fresh(counter)
                total = row.total + step * self._factor
                rows.put(_moved(row, total, note, at))
                rows.put(MarkRow(counter, total))
            case Emptied(counter=counter):
                row = rows.get(CounterRow, counter)
                for total in range(1, row.total + 1 if row else 1):
                    rows.drop(MarkRow, counter, total)
                rows.drop(CounterRow, counter)
            case Spoiled() if self._strict:
                raise ValueError("spoiled")


def _fresh(counter: str) -> CounterRow:
    return CounterRow(counter, 0, Decimal(0), 0.0, even=True, names=[], note={}, day=AT.date(), at=AT, nothing=None)


def _moved(row: CounterRow, total: int, note: Mapping[str, Any], at: datetime) -> CounterRow:
    return replace(
        row,
        total=total,
        exact=row.exact + Decimal("0.10") * total,
        share=total / 3,
        even=total % 2 == 0,
        names=[*row.names[-2:], f"n{total}, 'quoted\\'"],
        note={**row.note, **note},
        at=at,
    )


class Platform:
    """A ledger, and the toy tables."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.database = Database(dsn)
        self.database.open()
        self.ledger = Ledger(LedgerRecorder(self.database), EventRegistry((Counted, Spoiled, Emptied, Foreseen)))

    def append(self, stream: str, *events: Event) -> int:
        """Append at the end of a stream."""
        stands = len(self.ledger.read(stream))
        position = self.ledger.append(Change(stream, stands, events), key=random_id("k"))
        assert position is not None
        return position

    def count(self, counter: str, steps: int = 1, **note: Any) -> int:
        return self.append(counter, *(Counted(counter=counter, note=note, **CAUSE) for _ in range(steps)))

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(statement.encode(), parameters).fetchall()

    def totals(self) -> dict[str, int]:
        return dict(self.rows("SELECT counter, total FROM toy_counters"))

    def positions(self) -> dict[str, int]:
        return dict(self.rows("SELECT projection, position FROM projection_positions"))

    def dead(self) -> list[tuple[str, int, str]]:
        return self.rows("SELECT projection, position, stream FROM projection_dead_letters ORDER BY 1, 2")

    def do(self, statement: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def platform_on(dsn: str) -> Iterator[Platform]:
    platform = Platform(dsn)
    platform.do(TABLES)
    try:
        yield platform
    finally:
        platform.database.close()
