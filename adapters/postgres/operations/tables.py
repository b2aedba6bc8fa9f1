"""The tables of the platform: their sizes, and vacuum."""

from psycopg.sql import SQL, Identifier

from adapters.postgres.ledger.pool import Database, connect, translate_database_errors
from domain.errors import NotFound
from domain.runbooks.ports import TableState, VacuumProgress

_TABLES = """
    SELECT relname, pg_total_relation_size(relid), n_live_tup, n_dead_tup
    FROM pg_stat_user_tables WHERE schemaname = current_schema() ORDER BY relname COLLATE "C"
"""
_KNOWN = "SELECT EXISTS (SELECT FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname = %s)"
_PROGRESS = """
    SELECT relid::regclass::text, phase, heap_blks_total, heap_blks_scanned
    FROM pg_stat_progress_vacuum WHERE datname = current_database() ORDER BY pid
"""


class PostgresTables:
    """`domain.runbooks.ports.TableMaintenance` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tables(self) -> list[TableState]:
        with self._database.connection() as connection:
            return [TableState(*row) for row in connection.execute(_TABLES, prepare=True)]

    def vacuum(self, table: str, *, analyze: bool) -> None:
        # a connection of its own: those of the pool have a statement timeout
        with translate_database_errors(), connect(self._database.dsn) as connection:
            known = connection.execute(_KNOWN, (table,)).fetchone()
            if not known or not known[0]:
                raise NotFound(f"there is no table {table}")
            statement = SQL("VACUUM (ANALYZE) {}" if analyze else "VACUUM {}")
            connection.execute(statement.format(Identifier(table)))

    def progress(self) -> list[VacuumProgress]:
        with self._database.connection() as connection:
            return [VacuumProgress(*row) for row in connection.execute(_PROGRESS, prepare=True)]
