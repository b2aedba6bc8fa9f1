"""The state of the database server."""

from adapters.postgres.ledger.pool import Database
from domain.governance.system import DatabaseState, PoolState

_STATE = """
    SELECT current_setting('server_version'), pg_database_size(current_database()),
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        current_setting('max_connections')::integer,
        (SELECT count(*) FROM schema_migrations), (SELECT max(name) FROM schema_migrations)
"""


class PostgresServerState:
    """`domain.governance.system.DatabaseInspection` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def state(self) -> DatabaseState:
        with self._database.connection() as connection:
            row = connection.execute(_STATE).fetchone()
        if row is None:
            raise ValueError("a query without a table has one row")
        return DatabaseState(*row)

    def pool(self) -> PoolState:
        return PoolState(*self._database.pool_figures())
