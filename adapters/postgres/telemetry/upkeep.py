"""Keeps telemetry small: rollups are merged as they age, and partitions are dropped."""

from datetime import date, datetime, timedelta

from adapters.postgres.ledger.pool import Connection, Database, connect, translate_database_errors
from adapters.postgres.telemetry.rollup_sql import KEY, SUMS, sum_up
from domain.telemetry.window import floor

_BATCH = 20_000
"""Rollups that are merged in one transaction."""
_DETAIL = timedelta(hours=1)
"""The time for which minutes are kept beyond the hour that they are in."""
_KEYS, _SUMS = ", ".join(KEY), ", ".join(SUMS)
LOCK_MERGES = b"SELECT pg_advisory_xact_lock(7152353)"
"""Keeps rollups from being merged until the end of the transaction, which waits for a merge that is under way."""
_LOCK = b"SELECT pg_try_advisory_xact_lock(7152353)"
_CREATE = "SELECT create_telemetry_partition(d::date) FROM generate_series(%s::date, %s::date, '1 day') AS d"
_DROP = "SELECT drop_telemetry_before(%s)"
_TAKE = f"""
    WITH taken AS MATERIALIZED (
        DELETE FROM telemetry_rollups WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM telemetry_rollups WHERE {{condition}} ORDER BY at LIMIT {_BATCH} FOR UPDATE
        )) RETURNING {_KEYS}, {_SUMS}
    )
"""  # noqa: S608  (column names)
# First by type and agent: from then on there are few rows, of which the margins are made.
_MARGINS = f"""
    margins AS MATERIALIZED (
        SELECT tenant_id, m.margin, at, CASE WHEN m.margin < 2 THEN event_type ELSE '' END AS event_type,
               CASE WHEN m.margin IN (0, 2) THEN agent_id ELSE '' END AS agent_id, {_SUMS}
        FROM ({sum_up("taken", KEY)}) AS summed, generate_series(0, 3) AS m (margin)
    )
"""  # noqa: S608  (the same)


def _merge(resolution: int, unit: str, name: str, taken: str) -> str:
    """Return CTEs that add the rows of `taken` to those of a resolution, which they replace."""
    return f"""
        {name}_taken AS (
            SELECT tenant_id, margin, date_trunc('{unit}', at) AS at, event_type, agent_id, {_SUMS} FROM {taken}
        ), {name}_before AS (
            DELETE FROM telemetry_rollups AS r USING (SELECT DISTINCT {_KEYS} FROM {name}_taken) AS k
            WHERE r.resolution = {resolution} AND r.merged AND {" AND ".join(f"r.{each} = k.{each}" for each in KEY)}
            RETURNING {", ".join(f"r.{column}" for column in (*KEY, *SUMS))}
        ), {name}_both AS MATERIALIZED (
            SELECT {_KEYS}, {_SUMS} FROM {name}_taken UNION ALL SELECT {_KEYS}, {_SUMS} FROM {name}_before
        ), {name}_written AS (
            INSERT INTO telemetry_rollups (resolution, merged, {_KEYS}, {_SUMS})
            SELECT {resolution}, true, {_KEYS}, {_SUMS} FROM ({sum_up(f"{name}_both", KEY)}) AS summed
        )
    """  # noqa: S608  (the same)


_MERGE_WRITTEN = f"""
    {_TAKE.format(condition="NOT merged AND at < %(before)s")}, {_MARGINS},
    {_merge(1, "minute", "minutes", "margins")} SELECT count(*) FROM taken
"""  # noqa: S608  (the same)
_MERGE_MINUTES = f"""
    {_TAKE.format(condition="merged AND resolution = 1 AND at < %(before)s")},
    {_merge(60, "hour", "hours", "taken")}, {_merge(1440, "day", "days", "taken")} SELECT count(*) FROM taken
"""  # noqa: S608  (the same)


class PostgresTelemetryUpkeep:
    """`domain.telemetry.ports.TelemetryUpkeep` on PostgreSQL, on connections of its own: merging may take long."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def merge_rollups(self, now: datetime) -> int:
        with translate_database_errors(), connect(self._database.dsn) as connection:
            written = _repeat(connection, _MERGE_WRITTEN, floor(now, "1m"))
            return written + _repeat(connection, _MERGE_MINUTES, floor(now, "1h") - _DETAIL)

    def create_partitions(self, first: date, last: date) -> None:
        with self._database.connection() as connection:
            connection.execute(_CREATE, (first, last))

    def drop_before(self, first: date) -> int:
        with self._database.connection() as connection:
            row = connection.execute(_DROP, (first,)).fetchone()
        return int(row[0]) if row else 0


def _repeat(connection: Connection, statement: str, before: datetime) -> int:
    """Merge batch by batch until there is nothing left, or another process is at it."""
    merged = 0
    while found := _merge_batch(connection, statement, before):
        merged += found
    return merged


def _merge_batch(connection: Connection, statement: str, before: datetime) -> int:
    with connection.transaction():
        locked = connection.execute(_LOCK).fetchone()
        if not locked or not locked[0]:
            return 0
        row = connection.execute(statement.encode(), {"before": before}).fetchone()
        return int(row[0]) if row else 0
