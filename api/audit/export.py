"""The audit as text, line by line: CSV or JSON lines."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from io import StringIO
from typing import Any, Literal

from api.audit.schemas import AuditEntry
from domain.audit.ports import AuditFilter
from domain.audit.projection import AuditRow
from domain.signatures.audit_export import audit_lines
from domain.signatures.ports import Signer
from domain.signatures.statements import AuditSelection

Format = Literal["json", "csv", "jsonl"]
MEDIA_TYPES: dict[Format, str] = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
_COLUMNS = ("position", "at", "kind", "subject", "by", "because")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters by which a spreadsheet takes a cell for a formula."""


def to_csv(batches: Iterable[list[AuditRow]]) -> Iterator[str]:
    """Yield a header line, and the entries."""
    yield _lines([_COLUMNS])
    for batch in batches:
        yield _lines([_to_cells(row) for row in batch])


def to_json_lines(batches: Iterable[list[AuditRow]], wanted: AuditFilter, signer: Signer) -> Iterator[bytes]:
    """Yield one JSON object a line, and the end, which signs them and the filter."""
    entries = ([_to_entry(row) for row in batch] for batch in batches)
    return audit_lines(entries, AuditSelection(**asdict(wanted)), signer)


def _to_entry(row: AuditRow) -> dict[str, Any]:
    return AuditEntry.model_validate(row).model_dump(mode="json")


def _to_cells(row: AuditRow) -> list[object]:
    entry = _to_entry(row)
    return [_guard(value) if isinstance(value := entry[name], str) else value for name in _COLUMNS]


def _guard(cell: str) -> str:
    """Return the cell so that no spreadsheet computes it: callers choose request ids."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _lines(rows: Iterable[Iterable[object]]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
