"""Tables: each row is a text that repeats the names of its columns, so that it can be understood alone."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from adapters.documents.reading import Unreadable, decode
from domain.knowledge.chunking import Block
from domain.knowledge.ports import Extracted

MAX_COLUMNS = 1_000
MAX_ROWS = 200_000
_SAMPLE = 64 * 1024


def read_csv(content: bytes) -> Extracted:
    """Return the rows of a CSV table, whatever separates its fields."""
    text = decode(content).replace("\x00", " ")
    try:
        dialect: type[csv.Dialect] | str = csv.Sniffer().sniff(text[:_SAMPLE], delimiters=",;\t|")
    except csv.Error:
        dialect = "excel"
    limit = csv.field_size_limit(len(text) + 1)  # it is the whole process's
    try:
        return Extracted(list(row_blocks(csv.reader(io.StringIO(text), dialect))))
    except csv.Error:
        raise Unreadable("BROKEN", "the table cannot be read") from None
    finally:
        csv.field_size_limit(limit)


def row_blocks(rows: Iterable[Sequence[str]], page: int | None = None) -> Iterator[Block]:
    """Yield a block for each row, as `name: value` by the names in the first row."""
    names: Sequence[str] | None = None
    for number, row in enumerate(rows):
        if number >= MAX_ROWS:
            raise Unreadable("TOO_LARGE", f"a table has more than {MAX_ROWS} rows")
        cells = [" ".join(cell.split()) for cell in row[:MAX_COLUMNS]]
        if not any(cells):
            continue
        if names is None:
            names = cells
            yield Block(" | ".join(cell for cell in cells if cell), page=page)
            continue
        named = (
            f"{name}: {cell}" if (name := names[place] if place < len(names) else "") else cell
            for place, cell in enumerate(cells)
            if cell
        )
        yield Block("; ".join(named), page=page)
