"""Records events: the rows and their rollups in one transaction, so that none is counted without the other."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta

from adapters.postgres.ledger.pool import Connection, Database
from adapters.postgres.telemetry.rollup_sql import SUMS
from domain.errors import Forbidden
from domain.telemetry.event import TelemetryEvent
from domain.telemetry.rollup import Distribution, roll_up
from domain.tenants.aggregate import name_owner

_COLUMNS = "day, at, tenant_id, key, event_type, agent_id, duration_ms, tokens_used, success, metadata"
_SENT = """
    SELECT n, (to_timestamp(at) AT TIME ZONE 'UTC')::date AS day, to_timestamp(at) AS at, %(tenant_id)s AS tenant_id,
           key, event_type, agent_id, duration_ms, tokens_used, success, metadata, is_timed
    FROM unnest(%(at)s::float8[], %(key)s::uuid[], %(event_type)s::text[], %(agent_id)s::text[],
                %(duration_ms)s::float8[], %(tokens_used)s::int8[], %(success)s::bool[], %(metadata)s::text[],
                %(is_timed)s::bool[])
         WITH ORDINALITY
         AS u (at, key, event_type, agent_id, duration_ms, tokens_used, success, metadata, is_timed, n)
"""
_INSERT = f"INSERT INTO telemetry_events ({_COLUMNS}) SELECT {_COLUMNS} FROM ({_SENT}) AS sent"  # noqa: S608  (column names)
# The order of the rows is that of their keys: requests with the same events wait for each other, and never in a circle.
_INSERT_NEW = f"""
    WITH sent AS MATERIALIZED ({_SENT}), new AS (
        INSERT INTO telemetry_events ({_COLUMNS})
        SELECT {_COLUMNS} FROM sent WHERE is_timed OR NOT EXISTS (
            SELECT FROM telemetry_events AS e
            WHERE e.tenant_id = %(tenant_id)s AND e.key = sent.key AND e.day = %(day_before)s)
        ORDER BY n ON CONFLICT DO NOTHING RETURNING key, day
    )
    SELECT n FROM sent LEFT JOIN new USING (key, day) WHERE new.key IS NULL
"""  # noqa: S608  (the same)
_INSERT_ROLLUPS = f"""
    INSERT INTO telemetry_rollups (tenant_id, resolution, at, event_type, agent_id, merged, {", ".join(SUMS)})
    SELECT %(tenant_id)s, 1, to_timestamp(at), event_type, agent_id, false, events, succeeded, failed,
           durations, duration_total, duration_largest, duration_buckets::smallint[], duration_counts::bigint[],
           tokens, token_total, token_largest, token_buckets::smallint[], token_counts::bigint[]
    FROM unnest(%(at)s::float8[], %(event_type)s::text[], %(agent_id)s::text[], %(events)s::int8[],
                %(succeeded)s::int8[], %(failed)s::int8[],
                %(durations)s::int8[], %(duration_total)s::float8[], %(duration_largest)s::float8[],
                %(duration_buckets)s::text[], %(duration_counts)s::text[],
                %(tokens)s::int8[], %(token_total)s::numeric[], %(token_largest)s::int8[],
                %(token_buckets)s::text[], %(token_counts)s::text[])
         AS r (at, event_type, agent_id, {", ".join(SUMS)})
"""  # noqa: S608  (the same)
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
        with self._database.connection() as connection:
            self._create_partitions(connection, {event.at.date() for event in events})
            with connection.transaction():
                new = _insert(connection, tenant_id, events, received)
                _insert_rollups(connection, tenant_id, new)
                _refuse_erased(connection, tenant_id)
        return len(new)

    def _create_partitions(self, connection: Connection, days: set[date]) -> None:
        for day in days - self._days:
            connection.execute(_PARTITION, (day,))
            self._days |= {day}


def _insert(
    connection: Connection, tenant_id: str, events: Sequence[TelemetryEvent], received: datetime
) -> list[TelemetryEvent]:
    """Insert the events that are not known, and return them."""
    anonymous = [event for event in events if event.key is None]
    if anonymous:
        connection.execute(_INSERT.encode(), _columns(tenant_id, anonymous), prepare=True)
    # of two events with the same key one is known as soon as the other is there
    named = {(event.at.date(), event.key): event for event in events if event.key is not None}
    if not named:
        return anonymous
    if _is_midnight(received) and not all(event.is_timed for event in named.values()):
        connection.execute(_LOCK_TENANT, (tenant_id,))
    ordered = [named[key] for key in sorted(named)]
    values = {**_columns(tenant_id, ordered), "day_before": received.date() - timedelta(days=1)}
    known = {n for (n,) in connection.execute(_INSERT_NEW.encode(), values, prepare=True)}
    return anonymous + [event for n, event in enumerate(ordered, 1) if n not in known]


def _refuse_erased(connection: Connection, tenant_id: str) -> None:
    """Refuse what comes for a tenant while it is erased, or after: the mark is there before its rows are removed.

    An erasure waits for transactions that may have missed the mark, as these hold a lock on the table.
    """
    if connection.execute(_ERASED, (name_owner(tenant_id),), prepare=True).fetchone() is not None:
        raise Forbidden("the tenant was erased")


def _is_midnight(moment: datetime) -> bool:
    midnight = datetime.combine(moment.date(), time(), UTC)
    return min(moment - midnight, midnight + timedelta(days=1) - moment) < _MIDNIGHT


def _columns(tenant_id: str, events: Sequence[TelemetryEvent]) -> dict[str, object]:
    return {
        "tenant_id": tenant_id,
        "at": _array(event.at.timestamp() for event in events),
        "key": _array(event.key and event.key.hex() for event in events),
        "event_type": [event.event_type for event in events],
        "agent_id": [event.agent_id for event in events],
        "duration_ms": _array(event.duration_ms for event in events),
        "tokens_used": _array(event.tokens_used for event in events),
        "success": _array(event.success for event in events),
        "metadata": [event.metadata for event in events],
        "is_timed": _array(event.is_timed for event in events),
    }


def _insert_rollups(connection: Connection, tenant_id: str, events: Sequence[TelemetryEvent]) -> None:
    rollups = roll_up(events)
    if not rollups:
        return
    values = {
        "tenant_id": tenant_id,
        "at": _array(rollup.at.timestamp() for rollup in rollups),
        "event_type": [rollup.event_type for rollup in rollups],
        "agent_id": [rollup.agent_id for rollup in rollups],
        "events": _array(rollup.sums.events for rollup in rollups),
        "succeeded": _array(rollup.sums.succeeded for rollup in rollups),
        "failed": _array(rollup.sums.failed for rollup in rollups),
        **_distribution_columns("duration", [rollup.sums.durations for rollup in rollups]),
        **_distribution_columns("token", [rollup.sums.tokens for rollup in rollups]),
    }
    values["durations"], values["tokens"] = values.pop("duration_count"), values.pop("token_count")
    connection.execute(_INSERT_ROLLUPS.encode(), values, prepare=True)


def _distribution_columns(figure: str, found: Sequence[Distribution]) -> dict[str, object]:
    return {
        f"{figure}_count": _array(each.count for each in found),
        f"{figure}_total": _array(each.total for each in found),
        f"{figure}_largest": _array(each.largest for each in found),
        f"{figure}_buckets": [_array(each.sketch.buckets) for each in found],
        f"{figure}_counts": [_array(each.sketch.counts) for each in found],
    }


def _array(values: Iterable[object]) -> str:
    """Return PostgreSQL's literal of an array of numbers, booleans or hexadecimal digits.

    Psycopg does the same, for ten times as long: it looks at the type of each value.
    """
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
