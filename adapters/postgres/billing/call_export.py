"""Reads the attempts of a period in batches, oldest first."""

from collections.abc import Iterator
from dataclasses import fields
from datetime import date

from adapters.postgres.ledger.pool import Database
from domain.costs.projection import CallRow

_BATCH = 2_000
_COLUMNS = ", ".join(field.name for field in fields(CallRow))
_CALLS = f"""
    SELECT {_COLUMNS} FROM cost_calls
    WHERE tenant_id = %(tenant_id)s
        AND at >= %(first)s::date::timestamp AT TIME ZONE 'UTC'
        AND at < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
        AND (at, call_id, attempt) > (%(at)s::timestamptz, %(call_id)s, %(attempt)s)
    ORDER BY at, call_id, attempt LIMIT %(limit)s
"""  # noqa: S608  (column names)


class PostgresCallExport:
    """`domain.costs.ports.CallExport` on the view."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def batches(self, tenant_id: str, first: date, last: date) -> Iterator[list[CallRow]]:
        """Yield batches, each by a query of its own: a slow client holds no connection and no snapshot."""
        after: tuple[object, str, int] = ("-infinity", "", 0)
        while rows := self._batch(tenant_id, first, last, after):
            yield rows
            if len(rows) < _BATCH:
                return
            after = (rows[-1].at, rows[-1].call_id, rows[-1].attempt)

    def _batch(self, tenant_id: str, first: date, last: date, after: tuple[object, str, int]) -> list[CallRow]:
        at, call_id, attempt = after
        values = {
            "tenant_id": tenant_id,
            "first": first,
            "last": last,
            "at": at,
            "call_id": call_id,
            "attempt": attempt,
            "limit": _BATCH,
        }
        with self._database.connection() as connection:
            return [CallRow(*row) for row in connection.execute(_CALLS.encode(), values, prepare=True)]
