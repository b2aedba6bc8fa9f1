"""Queries of the view of circuits."""

from dataclasses import fields
from datetime import datetime

from adapters.postgres.ledger.pool import Database
from domain.providers.projection import CircuitRow

_COLUMNS = ", ".join(field.name for field in fields(CircuitRow))
_ALL = f"SELECT {_COLUMNS} FROM provider_circuits ORDER BY provider, model"  # noqa: S608  (column names)
_OPEN = f"""
    SELECT {_COLUMNS} FROM provider_circuits WHERE state <> 'closed' AND retry_at > %s ORDER BY provider, model
"""  # noqa: S608  (the same)


class PostgresCircuits:
    """`domain.providers.ports.CircuitReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def circuits(self) -> list[CircuitRow]:
        with self._database.connection() as connection:
            return [CircuitRow(*row) for row in connection.execute(_ALL.encode(), prepare=True)]

    def open_circuits(self, since: datetime) -> list[CircuitRow]:
        with self._database.connection() as connection:
            return [CircuitRow(*row) for row in connection.execute(_OPEN.encode(), (since,), prepare=True)]
