"""Records events: rows and rollup in one statement, so that none is counted without the other, and none twice."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

import orjson

from adapters.postgres.ledger.pool import Connection, Database
from adapters.postgres.telemetry.rollup_sql import KEY, SUMS
from domain.errors import Forbidden
from domain.telemetry.event import TelemetryEvent
from domain.tenants.aggregate import name_owner

_COLUMNS = "day, at, tenant_id, key, event_type, agent_id, duration_ms, tokens_used, success, metadata"
_FIGURES = """
    count({name}), coalesce(sum({name}), 0), max({name}),
    coalesce(array_agg(telemetry_bucket({name})) FILTER (WHERE {name} IS NOT NULL), '{{}}'),
    array_fill(1::bigint, ARRAY[count({name})::int])
"""
# In the order of the keys: requests with the same events wait for each other, and never in a circle.
_RECORD = f"""
    WITH sent AS (
        SELECT (to_timestamp(at) AT TIME ZONE 'UTC')::date AS day, to_timestamp(at) AS at, %(tenant_id)s AS tenant_id,
               key, event_type, agent_id, duration_ms, tokens_used, success, metadata, is_timed
        FROM unnest(%(at)s::float8[], %(key)s::uuid[], %(is_timed)s::bool[], %(event_type)s::text[],
                    %(agent_id)s::text[], %(duration_ms)s::float8[], %(tokens_used)s::int8[], %(success)s::bool[],
                    %(metadata)s::text[])
             AS u (at, key, is_timed, event_type, agent_id, duration_ms, tokens_used, success, metadata)
    ), new AS (
        INSERT INTO telemetry_events ({_COLUMNS})
        SELECT {_COLUMNS} FROM sent WHERE key IS NULL OR is_timed OR NOT EXISTS (
            SELECT FROM telemetry_events AS e
            WHERE e.tenant_id = %(tenant_id)s AND e.key = sent.key AND e.day = %(day_before)s)
        ORDER BY key, day ON CONFLICT DO NOTHING
        RETURNING date_trunc('minute', at) AS minute, event_type, agent_id, duration_ms, tokens_used, success
    ), rolled_up AS (
        INSERT INTO telemetry_rollups (resolution, merged, {", ".join((*KEY, *SUMS))})
        SELECT 1, false, %(tenant_id)s, 0, minute, event_type, agent_id,
               count(*), count(*) FILTER (WHERE success), count(*) FILTER (WHERE NOT success),
               {_FIGURES.format(name="duration_ms")}, {_FIGURES.format(name="tokens_used")}
        FROM new GROUP BY minute, event_type, agent_id
    )
    SELECT count(*) FROM new
"""  # noqa: S608  (column names)
_PARTITION = "SELECT create_telemetry_partition(%s)"
_LOCK_TENANT = "SELECT pg_advisory_xact_lock(7152352, hashtext(%s))"
_ERASED = "SELECT FROM erased_owners WHERE owner = %s"
_MIDNIGHT = timedelta(minutes=1)
"""The time around midnight in which two processes may have different dates."""


class PostgresTelemetryStore:
    """`domain.telemetry.ports.TelemetryStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._days: frozenset[date] = frozenset()

    def record(self, tenant_id: str, events: Sequence[TelemetryEvent], received: datetime) -> int:
        values = {**_columns(events), "tenant_id": tenant_id, "day_before": received.date() - timedelta(days=1)}
        with self._database.connection() as connection:
            self._create_partitions(connection, {event.at.date() for event in events})
            with connection.transaction():
                if _is_midnight(received):
                    connection.execute(_LOCK_TENANT, (tenant_id,))
                row = connection.execute(_RECORD.encode(), values, prepare=True).fetchone()
                _refuse_erased(connection, tenant_id)
        return int(row[0]) if row else 0

    def _create_partitions(self, connection: Connection, days: set[date]) -> None:
        for day in days - self._days:
            connection.execute(_PARTITION, (day,))
            self._days |= {day}


def _refuse_erased(connection: Connection, tenant_id: str) -> None:
    """Refuse what comes for a tenant while it is erased, or after: the mark is there before its rows are removed.

    An erasure waits for transactions that may have missed the mark, as these hold a lock on the table.
    """
    if connection.execute(_ERASED, (name_owner(tenant_id),), prepare=True).fetchone() is not None:
        raise Forbidden("the tenant was erased")


def _is_midnight(moment: datetime) -> bool:
    midnight = datetime.combine(moment.date(), time(), UTC)
    return min(moment - midnight, midnight + timedelta(days=1) - moment) < _MIDNIGHT


def _columns(events: Sequence[TelemetryEvent]) -> dict[str, object]:
    columns = dict(zip(TelemetryEvent._fields, zip(*events, strict=True), strict=True))
    columns["at"] = tuple([at.timestamp() for at in columns["at"]])
    columns["key"] = tuple([key and key.hex() for key in columns["key"]])
    return {name: _array(values) for name, values in columns.items()}


def _array(values: Sequence[object]) -> str:
    """Return PostgreSQL's literal of an array of numbers, booleans or texts without control characters.

    For these JSON escapes the same characters in the same way. Psycopg takes ten times as long: it looks at the type of
    each value. A control character would lose its meaning here; events have none, and their metadata is JSON itself.
    """
    return f"{{{orjson.dumps(values)[1:-1].decode()}}}"
