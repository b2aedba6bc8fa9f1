"""Imports of many records from a table: all rows, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from domain.records.csv_tables import RowFault, refuse_faults

Draft = TypeVar("Draft")

MOST_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ImportRow(Generic[Draft]):
    """A row whose fields are valid, and the record to create from it."""

    number: int
    draft: Draft


@dataclass(frozen=True, slots=True)
class ImportTable(Generic[Draft]):
    """The valid rows of a table, and the faults of the others."""

    rows: Sequence[ImportRow[Draft]]
    faults: Sequence[RowFault] = ()

    def refuse_empty(self) -> None:
        """Return if there is a valid row.

        Raises:
            domain.errors.Invalid: there is none.
        """
        if not self.rows:
            refuse_faults(self.faults or [RowFault(1, "", "there is no row besides the header")])


@dataclass(frozen=True, slots=True)
class ImportedRecords:
    """The consecutive ids of the records that were created, in the order of the rows."""

    first_id: int
    count: int
