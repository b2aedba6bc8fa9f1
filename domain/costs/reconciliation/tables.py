"""Lines of an invoice from a CSV table."""

import csv
import io
from collections.abc import Iterator

from domain.costs.reconciliation.lines import COLUMNS, MOST_LINES, InvoiceLine, UnreadableLine, parse_line
from domain.errors import Invalid

_GUARDS = ("'=", "'+", "'-", "'@")


def parse_table(text: str) -> Iterator[InvoiceLine | UnreadableLine]:
    """Yield the rows below the header, by their number in a spreadsheet: the header is row 1.

    Raises:
        Invalid: the text is no CSV, has no or unknown columns, or too many rows.
    """
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _refuse_header(header)
        for number, cells in enumerate(reader, 2):
            if number > MOST_LINES + 1:
                raise _invalid(f"more than {MOST_LINES} rows")
            if cells:
                yield _parse_row(number, header, cells)
    except csv.Error as error:
        raise _invalid(f"not valid CSV in line {reader.line_num}: {error}") from error


def _parse_row(number: int, header: list[str], cells: list[str]) -> InvoiceLine | UnreadableLine:
    fields = dict(zip(header, (_unguard(cell) for cell in cells), strict=False))
    line = parse_line(number, fields)
    if len(cells) != len(header):
        return UnreadableLine(number, f"has {len(cells)} cells, the header has {len(header)}", line.call)
    return line


def _refuse_header(header: list[str]) -> None:
    if unknown := sorted({name for name in header if name not in COLUMNS}):
        raise _invalid(f"unknown columns: {', '.join(name[:80] for name in unknown[:10])}")
    if not header:
        raise _invalid("the table is empty: its first row has to name the columns")
    if len(set(header)) < len(header):
        raise _invalid("a column is named twice")


def _invalid(reason: str) -> Invalid:
    return Invalid(f"body: {reason}", field="body", reason=reason)


def _unguard(cell: str) -> str:
    """Return a cell without the apostrophe that exports write before what looks like a formula."""
    return cell[1:] if cell.startswith(_GUARDS) else cell
