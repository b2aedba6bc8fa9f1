"""CSV tables (RFC 4180, comma, UTF-8, a header) that spreadsheets open without taking a text for a formula.

A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return is written with an apostrophe before it, and read
without it. Lists are written in one cell, separated by semicolons; a backslash precedes a semicolon within an item.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from domain.errors import Invalid

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row by its columns. `number` counts as spreadsheets do: the header is row 1. Empty cells are absent."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class RowFault:
    """A reason that a row cannot be used. `field` is a column, or empty for the row as a whole."""

    row: int
    field: str
    reason: str


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield the lines of the table, the header first. None is an empty cell."""
    yield _line(columns)
    for row in rows:
        yield _line(["" if value is None else _guard(str(value)) for value in row])


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue()


def read_csv(text: str, columns: Collection[str], *, ignored: Collection[str] = (), most: int) -> list[CsvRow]:
    """Return the rows of a table that has some of these columns, in any order; empty lines are skipped.

    Raises:
        Invalid: it is no CSV, has an unknown or repeated column, a row of another length, or more than `most` rows.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    found: list[CsvRow] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        _refuse_header(header, {*columns, *ignored})
        for number, cells in enumerate(reader, 2):
            if not cells:
                continue
            if len(found) == most:
                raise _invalid(f"more than {most} rows")
            if len(cells) != len(header):
                raise _invalid(f"row {number} has {len(cells)} cells, the header has {len(header)}")
            named = zip(header, map(_unguard, cells), strict=True)
            found.append(CsvRow(number, {name: cell for name, cell in named if cell and name in columns}))
    except csv.Error as error:
        raise _invalid(f"not valid CSV in line {reader.line_num}: {error}") from error
    return found


def _refuse_header(header: Sequence[str], known: Collection[str]) -> None:
    if not header:
        raise _invalid("the table is empty: its first row has to name the columns")
    if unknown := sorted({name for name in header if name not in known}):
        raise _invalid(f"unknown columns: {', '.join(name[:80] for name in unknown[:10])}")
    if len(set(header)) < len(header):
        raise _invalid("a column is named twice")


def _invalid(reason: str) -> Invalid:
    return Invalid(f"body: {reason}", field="body", reason=reason)


def refuse_faults(faults: Sequence[RowFault], *, shown: int = 100) -> None:
    """Return if there is no fault.

    Raises:
        Invalid: there are some; `details.errors` names the first ones by row and field, `faults` is their number.
    """
    if faults:
        ordered = sorted(faults, key=lambda fault: (fault.row, fault.field))
        errors = [{"row": fault.row, "field": fault.field, "reason": fault.reason} for fault in ordered[:shown]]
        rows = len({fault.row for fault in faults})
        message = f"nothing was imported: {rows} {'row is' if rows == 1 else 'rows are'} not valid"
        first = {"field": errors[0]["field"], "reason": errors[0]["reason"], "row": errors[0]["row"]}
        raise Invalid(message, **first, errors=errors, faults=len(faults))


def join_items(items: Iterable[str]) -> str:
    """Return the items as the text of one cell."""
    return ";".join(item.replace("\\", "\\\\").replace(";", "\\;") for item in items)


def split_items(cell: str) -> list[str]:
    """Return the items in a cell, without spaces around them; empty ones are skipped."""
    items, is_escaped = [""], False
    for character in cell:
        if is_escaped or character not in {"\\", ";"}:
            items[-1] += character
            is_escaped = False
        elif character == ";":
            items.append("")
        else:
            is_escaped = True
    return [item.strip() for item in items if item.strip()]


def _guard(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def _unguard(text: str) -> str:
    return text[1:] if _GUARDED.match(text) else text
