"""Restorations of this database."""

from dataclasses import asdict

import orjson

from adapters.postgres.ledger.log import Connection
from adapters.postgres.ledger.pool import Database
from domain.recovery.report import SettledItem
from domain.recovery.restores import Restore

_RECORD = """
    INSERT INTO restores (backup_id, moment, head, with_temporal, resume) VALUES (%s, %s, %s, %s, %s)
"""
_PENDING = """
    SELECT backup_id, moment, head, with_temporal, resume FROM restores
    WHERE reconciled_at IS NULL ORDER BY restored_at DESC LIMIT 1
"""
_RECONCILED = "UPDATE restores SET reconciled_at = now(), report = %s WHERE reconciled_at IS NULL"


def record_restore(connection: Connection, restore: Restore) -> None:
    """Record that this database was restored and has to be reconciled."""
    values = (restore.backup_id, restore.moment, restore.head, restore.with_temporal, restore.resume)
    connection.execute(_RECORD, values)


class PostgresRestores:
    """`domain.recovery.restores.Restores` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_pending(self) -> Restore | None:
        with self._database.connection() as connection:
            row = connection.execute(_PENDING).fetchone()
        return Restore(*row) if row else None

    def mark_reconciled(self, report: list[SettledItem]) -> None:
        text = orjson.dumps([asdict(item) for item in report]).decode()
        with self._database.connection() as connection:
            connection.execute(_RECONCILED, (text,))
