"""Tables of figures as CSV, for routes that return JSON otherwise."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import BaseModel

from api.tables.csv_tables import TABLE, csv_response
from domain.records.csv_tables import write_csv

FormatQuery = Annotated[
    Literal["json", "csv"], Query(alias="format", description="`csv` returns the table as a file for spreadsheets.")
]
CSV_TOO: dict[int | str, dict[str, Any]] = {200: TABLE}
"""The OpenAPI description of a response that can be a table."""


def to_table(kind: type[BaseModel], rows: Iterable[BaseModel], name: str, first: Sequence[str] = ()) -> Response:
    """Return the rows as a table: a column for each field of their kind, those of `first` before the others."""
    columns = (*first, *(field for field in kind.model_fields if field not in first))
    cells = (row.model_dump(mode="json") for row in rows)
    return csv_response(write_csv(columns, ([_to_cell(row[column]) for column in columns] for row in cells)), name)


def _to_cell(value: object) -> object:
    """Return a number in plain notation, which every spreadsheet reads."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
