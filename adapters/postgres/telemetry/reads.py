"""Queries of telemetry: rollups, added up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from adapters.postgres.ledger.pool import Connection, Database
from adapters.postgres.telemetry.rollup_sql import SUMS, sum_up
from domain.telemetry.ports import GroupSums, TelemetryFilter, TelemetrySums
from domain.telemetry.sketch import Sketch
from domain.telemetry.sums import NO_EVENTS, Distribution, Sums
from domain.telemetry.window import Interval, TimeRange

_UNITS: dict[Interval, str] = {"1m": "minute", "1h": "hour", "1d": "day"}
_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
_COLUMNS = f"at, event_type, agent_id, {', '.join(SUMS)}"
# Rows as written; minutes, which are not in hours and days yet; days that lie in the range entirely, and hours around
# them. Each is a range of the index.
_PARTS = (
    "resolution = 1 AND margin = 0 AND NOT merged AND at >= %(start)s AND at < %(end)s",
    "resolution = 1 AND margin = %(margin)s AND merged AND at >= %(start)s AND at < %(end)s",
    "resolution = 60 AND margin = %(margin)s AND at >= %(start)s AND at < %(first_day)s",
    "resolution = 60 AND margin = %(margin)s AND at >= %(last_day)s AND at < %(end)s",
    "resolution = 1440 AND margin = %(margin)s AND at >= %(first_day)s AND at < %(last_day)s",
)
_OF_WANTED = """
    tenant_id = %(tenant_id)s AND (%(event_type)s::text IS NULL OR event_type = %(event_type)s)
    AND (%(agent_id)s::text IS NULL OR agent_id = %(agent_id)s)
"""
_CHOSEN = " UNION ALL ".join(
    f"SELECT {_COLUMNS} FROM telemetry_rollups WHERE {part} AND {_OF_WANTED}"  # noqa: S608  (column names)
    for part in _PARTS
)
_TOTALS = f"""
    WITH chosen AS MATERIALIZED (SELECT true AS all_of_it, c.* FROM ({_CHOSEN}) AS c)
    {sum_up("chosen", ["all_of_it"])}
"""  # noqa: S608  (the same)
_SERIES = f"""
    WITH chosen AS MATERIALIZED (SELECT date_trunc(%(unit)s, at) AS point, c.* FROM ({_CHOSEN}) AS c)
    {sum_up("chosen", ["point"])}
"""  # noqa: S608  (the same)
_GROUPS = f"SELECT DISTINCT event_type, agent_id FROM ({_CHOSEN}) AS c"  # noqa: S608  (the same)
# Groups are numbered: to sort by a number costs a fraction of what it costs to sort by two texts.
_PAGE = f"""
    WITH wanted AS MATERIALIZED (
        SELECT event_type, agent_id, row_number() OVER (ORDER BY event_type, agent_id) AS place
        FROM ({_GROUPS} ORDER BY event_type, agent_id OFFSET %(skip)s LIMIT %(limit)s) AS g
    ), chosen AS MATERIALIZED (SELECT place, c.* FROM ({_CHOSEN}) AS c JOIN wanted USING (event_type, agent_id))
    SELECT event_type, agent_id, {", ".join(SUMS)}
    FROM wanted JOIN ({sum_up("chosen", ["place"])}) AS summed USING (place) ORDER BY place
"""  # noqa: S608  (the same)
_COUNT = f"SELECT count(*) FROM ({_GROUPS}) AS groups"  # noqa: S608  (the same)
_MEMORY = b"SET LOCAL work_mem = '32MB'"
_SNAPSHOT = b"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresTelemetryReads:
    """`domain.telemetry.ports.TelemetryReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sums(self, wanted: TelemetryFilter, *, skip: int, limit: int) -> TelemetrySums:
        values = _parameters(wanted)
        of_groups = {**values, "margin": 0, "skip": skip, "limit": limit}
        by_hours = wanted.span.interval == "1h"
        in_series = {**values, **({"last_day": values["first_day"]} if by_hours else {})}
        with self._database.connection() as connection, connection.transaction():
            connection.execute(_SNAPSHOT)
            connection.execute(_MEMORY)
            reader = _Reader(connection)
            totals = reader.rows(_TOTALS, values, 1)
            return TelemetrySums(
                totals[0][1] if totals else NO_EVENTS,
                [GroupSums(key[0], key[1], sums) for key, sums in reader.rows(_PAGE, of_groups, 2)],
                reader.number(_COUNT, of_groups),
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
        "end": span.end or _FOREVER,
        "margin": (0 if wanted.event_type else 2) + (0 if wanted.agent_id else 1),
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
