"""CSV tables in requests and responses."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

from fastapi import Response
from pydantic import ValidationError

from api.http.dependencies import Positions
from api.http.request_context import RequestContext
from api.http.schemas import Body, View
from domain.records.bulk_imports import MOST_ROWS, ImportedRecords, ImportRow, ImportTable
from domain.records.csv_tables import RowFault, read_csv

MAX_TABLE = 10 * 1024 * 1024
"""Maximum bytes of a table to import."""
TABLE: dict[str, Any] = {"content": {"text/csv": {"schema": {"type": "string"}}}}
"""The OpenAPI description of a table as a body or response."""
EXPORTED: dict[int | str, dict[str, Any]] = {200: {"description": "A CSV table.", **TABLE}}
IMPORTED: dict[str, Any] = {"requestBody": {"required": True, **TABLE}}
MADE = ("id", "created_at", "updated_at", "version")
"""Columns of an export that an import ignores."""
_WAITS = 15
"""Waits for the view after an import, of a second each."""

B = TypeVar("B", bound=Body)
Draft = TypeVar("Draft")
Cells = Mapping[str, str]
Values = Mapping[str, Any]


class ImportResult(View):
    """The result of an import: the number of records, and the first and last of their consecutive ids."""

    imported: int
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class SentTable:
    """The text of a table in a request, and a key for this table under the request's key."""

    text: str
    key: str | None


def sent_table(request: RequestContext, key: str | None) -> SentTable:
    """Return the table of a request. A refused table may be repeated, corrected, under its key: that is other work."""
    text = request.json if isinstance(request.json, str) else ""
    return SentTable(text, key and f"{key}:{sha256(text.encode()).hexdigest()}")


async def finish_import(
    work: Callable[[], ImportedRecords], positions: Positions, view: str, request: RequestContext
) -> ImportResult:
    """Do the work in a thread, wait until the view shows all of it, and return the result."""
    done = await asyncio.to_thread(work)
    for _ in range(_WAITS):
        if await positions.wait(view):
            break
    else:
        request.add_header("X-Convergio-Stale", "true")
    return ImportResult(imported=done.count, first_id=done.first_id, last_id=done.first_id + done.count - 1)


def parse_table(
    text: str, columns: Sequence[str], body: type[B], draft: Callable[[B], Draft], values: Callable[[Cells], Values]
) -> ImportTable[Draft]:
    """Return the rows of a table, each checked as a body of the route that creates one record.

    `values` returns the fields of the body for a row's cells.

    Raises:
        domain.errors.Invalid: the text is no table of these columns, or has too many rows.
    """
    rows, faults = [], []
    for row in read_csv(text, columns, ignored=MADE, most=MOST_ROWS):
        try:
            rows.append(ImportRow(row.number, draft(body.model_validate(values(row.cells)))))
        except ValidationError as error:
            faults += [_fault(row.number, fault) for fault in error.errors(include_url=False)]
    return ImportTable(rows, faults)


def _fault(row: int, fault: Mapping[str, Any]) -> RowFault:
    location = fault["loc"]
    return RowFault(row, str(location[0]) if location else "", fault["msg"][:500])


def csv_response(lines: Iterable[str], name: str) -> Response:
    """Return the table as a file of this name."""
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response("".join(lines).encode(), media_type="text/csv", headers=headers)
