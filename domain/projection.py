"""The interface of projections: rows of plain tables, folded from the ledger's events by a pure function.

The same function serves the live views (rows loaded and written a batch at a time) and a rebuild (all rows in memory),
so the two cannot differ.
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol, TypeVar

from domain.events import RecordedEvent

Key = tuple[object, ...]


class Row(Protocol):
    """A frozen dataclass whose fields are the columns of `TABLE`, in the table's order; `KEY` names its primary key.

    Columns are `str`, `int`, `float`, `bool`, `Decimal`, `datetime`, `date`, `list[str]`, or `dict` (stored as jsonb),
    or None.
    """

    TABLE: ClassVar[str]
    KEY: ClassVar[tuple[str, ...]]
    __dataclass_fields__: ClassVar[dict[str, Any]]


R = TypeVar("R", bound=Row)


class Rows(Protocol):
    """The rows during a fold."""

    def get(self, kind: type[R], *key: object) -> R | None: ...

    def several(self, kind: type[R], keys: Iterable[Key]) -> list[R]:
        """Return the rows of these keys that exist, loaded together."""
        ...

    def put(self, row: Row) -> None: ...

    def drop(self, kind: type[Row], *key: object) -> None: ...


class Projection(Protocol):
    """The views of one concept. They are rebuilt together and have one position."""

    name: str
    kinds: tuple[type[Row], ...]

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        """Return the rows that `project` will read, to load them together. A hint: others are loaded singly."""
        ...

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        """Fold one event into the rows. Events of no relevance are ignored."""
        ...
