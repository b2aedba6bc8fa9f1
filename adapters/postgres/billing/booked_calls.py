"""Reads the attempts that an invoice is compared with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date

from psycopg.rows import class_row

from adapters.postgres.ledger.pool import Database, connect, translate_database_errors
from domain.costs.projection import CallRow
from domain.costs.reconciliation.lines import CallKey

_BATCH = 2_000
_COLUMNS = ", ".join(field.name for field in fields(CallRow))
_OF_TENANT = "(%(tenant_id)s::text IS NULL OR tenant_id = %(tenant_id)s)"
_CALLS = f"""
    SELECT {_COLUMNS} FROM cost_calls
    WHERE {_OF_TENANT}
        AND at >= %(first)s::date::timestamp AT TIME ZONE 'UTC'
        AND at < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY at, call_id, attempt
"""  # noqa: S608  (column names and a condition of this module)
_NAMED = f"""
    SELECT {_COLUMNS} FROM cost_calls
    WHERE {_OF_TENANT} AND ((call_id, attempt) IN (SELECT * FROM unnest(%(ours)s::text[], %(attempts)s::int[]))
        OR provider_call_id = ANY(%(theirs)s::text[]))
"""  # noqa: S608  (the same)
_MODELS = f"SELECT DISTINCT model FROM cost_usage WHERE {_OF_TENANT}"  # noqa: S608  (the same)


class PostgresBookedCalls:
    """`domain.costs.reconciliation.ports.BookedCalls` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def batches(self, tenant_id: str | None, first: date, last: date) -> Iterator[list[CallRow]]:
        values = {"tenant_id": tenant_id, "first": first, "last": last}
        with (
            translate_database_errors(),
            connect(self._database.dsn) as connection,
            connection.transaction(),
            connection.cursor("booked_calls", row_factory=class_row(CallRow)) as cursor,
        ):
            cursor.execute(_CALLS.encode(), values)
            while rows := cursor.fetchmany(_BATCH):
                yield rows

    def by_key(self, tenant_id: str | None, calls: Sequence[CallKey]) -> Mapping[CallKey, CallRow]:
        if not calls:
            return {}
        ours = [call for call in calls if not isinstance(call, str)]
        theirs = {call for call in calls if isinstance(call, str)}
        values = {
            "tenant_id": tenant_id,
            "ours": [call_id for call_id, _ in ours],
            "attempts": [attempt for _, attempt in ours],
            "theirs": list(theirs),
        }
        found: dict[CallKey, CallRow] = {}
        with (
            translate_database_errors(),
            connect(self._database.dsn) as connection,
            connection.cursor(row_factory=class_row(CallRow)) as cursor,
        ):
            for row in cursor.execute(_NAMED.encode(), values):
                found[row.call_id, row.attempt] = row
                if row.provider_call_id in theirs and row.provider_call_id is not None:
                    found[row.provider_call_id] = row
        return found

    def models(self, tenant_id: str | None) -> frozenset[str]:
        with self._database.connection() as connection:
            rows = connection.execute(_MODELS.encode(), {"tenant_id": tenant_id}).fetchall()
        return frozenset(model for (model,) in rows)
