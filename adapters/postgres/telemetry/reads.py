"""Queries of telemetry: rollups, added up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapters.postgres.ledger.pool import Connection, Database
from adapters.postgres.telemetry.rollup_sql import sum_up
from domain.telemetry.ports import GroupSums, TelemetryFilter, TelemetrySums
from domain.telemetry.sketch import Sketch
from domain.telemetry.sums import NO_EVENTS, Distribution, Sums
from domain.telemetry.window import Interval, TimeRange

_UNITS: dict[Interval, str] = {"1m": "minute", "1h": "hour", "1d": "day"}
# Days where they lie in the range entirely, hours around them, and minutes, which are not in hours and days yet.
_CHOSEN = """
    SELECT r.*, true AS everything, date_trunc(%(unit)s, at) AS point FROM telemetry_rollups AS r
    WHERE tenant_id = %(tenant_id)s AND at >= %(start)s AND (%(end)s::timestamptz IS NULL OR at < %(end)s)
      AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
      AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
      AND (resolution = 1 OR resolution = 60 AND NOT (at >= %(first_day)s AND at < %(last_day)s)
           OR resolution = 1440 AND at >= %(first_day)s AND at < %(last_day)s)
"""
_TOTALS = f"WITH chosen AS MATERIALIZED ({_CHOSEN}) {sum_up('chosen', ['everything'])}"
_SERIES = f"WITH chosen AS MATERIALIZED ({_CHOSEN}) {sum_up('chosen', ['point'])}"
_PAGE = f"""
    WITH matching AS MATERIALIZED ({_CHOSEN}), wanted AS (
        SELECT DISTINCT event_type, agent_id FROM matching ORDER BY event_type, agent_id OFFSET %(skip)s LIMIT %(limit)s
    ), chosen AS MATERIALIZED (SELECT matching.* FROM matching JOIN wanted USING (event_type, agent_id))
    {sum_up("chosen", ["event_type", "agent_id"])} ORDER BY event_type, agent_id
"""  # noqa: S608  (column names)
_COUNT = f"SELECT count(*) FROM (SELECT DISTINCT event_type, agent_id FROM ({_CHOSEN}) AS c) AS groups"  # noqa: S608  (the same)
_SNAPSHOT = b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresTelemetryReads:
    """`domain.telemetry.ports.TelemetryReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sums(self, wanted: TelemetryFilter, *, skip: int, limit: int) -> TelemetrySums:
        values = {**_parameters(wanted), "skip": skip, "limit": limit}
        by_hours = wanted.span.interval == "1h"
        in_series = {**values, **({"last_day": values["first_day"]} if by_hours else {})}
        with self._database.connection() as connection, connection.transaction():
            connection.execute(_SNAPSHOT)
            reader = _Reader(connection)
            totals = reader.rows(_TOTALS, values, 1)
            return TelemetrySums(
                totals[0][1] if totals else NO_EVENTS,
                [GroupSums(key[0], key[1], sums) for key, sums in reader.rows(_PAGE, values, 2)],
                reader.number(_COUNT, values),
                {point: sums for (point,), sums in reader.rows(_SERIES, in_series, 1)},
            )


@dataclass(frozen=True, slots=True)
class _Reader:
    connection: Connection

    def rows(self, statement: str, values: dict[str, object], keys: int) -> list[tuple[Sequence[Any], Sums]]:
        found = self.connection.execute(statement.encode(), values)
        return [(row[:keys], _sums(row[keys:])) for row in found]

    def number(self, statement: str, values: dict[str, object]) -> int:
        row = self.connection.execute(statement.encode(), values).fetchone()
        return int(row[0]) if row else 0


def _parameters(wanted: TelemetryFilter) -> dict[str, object]:
    span: TimeRange = wanted.span
    first_day, last_day = span.whole_days
    return {
        "tenant_id": wanted.tenant_id,
        "event_type": wanted.event_type,
        "agent_id": wanted.agent_id,
        "start": span.start,
        "end": span.end,
        "first_day": first_day,
        "last_day": last_day,
        "unit": _UNITS[span.interval],
    }


def _sums(row: Sequence[Any]) -> Sums:
    events, succeeded, failed = row[:3]
    return Sums(events, succeeded, failed, _distribution(row[3:8]), _distribution(row[8:13]))


def _distribution(row: Sequence[Any]) -> Distribution:
    count, total, largest, buckets, counts = row
    return Distribution(count, float(total), largest, Sketch(buckets, counts)) if count else Distribution()
