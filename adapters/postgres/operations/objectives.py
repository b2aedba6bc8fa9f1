"""Figures of service level objectives: requests by minute, turns, and alerts."""

from dataclasses import fields
from datetime import datetime, timedelta

from adapters.postgres.ledger.pool import Connection, Database
from domain.governance.objectives import DAY, PERIOD_S, WINDOWS_S, ClassCounts, WindowCounts
from domain.governance.ports import AlertPage
from domain.governance.projection import SloAlertRow

_MINUTES_S = 4 * DAY
"""Age in seconds up to which minutes are kept: the longest window but the period has three days."""
_KEPT_S = PERIOD_S + 5 * DAY
_SERVER_FAULT = 5
_OURS = ("UPSTREAM_ERROR", "SERVICE_UNAVAILABLE", "INTERNAL_ERROR", "UNUSABLE_REPLY")
"""Codes of failed turns that count: the others are decisions of the caller, or limits that it has set."""
_SUMS = ", ".join(f"coalesce(sum(count) FILTER (WHERE at >= %(since_{window})s), 0)::bigint" for window in WINDOWS_S)
_REQUESTS = f"""
    SELECT class, status_class, bucket, {_SUMS} FROM request_counts
    WHERE at >= %(since_{PERIOD_S})s AND (%(tenant_id)s::text IS NULL OR tenant_id = %(tenant_id)s)
    GROUP BY class, status_class, bucket
"""  # noqa: S608  (the names of the windows)
_ENDS = ", ".join(
    f"count(*) FILTER (WHERE ended_at >= %(since_{window})s),"
    f" count(*) FILTER (WHERE ended_at >= %(since_{window})s AND status = 'failed')"
    for window in WINDOWS_S
)
_TURNS = f"""
    SELECT {_ENDS} FROM chat_turns
    WHERE ended_at >= %(since_{PERIOD_S})s AND origin_session_id IS NULL
      AND (status = 'completed' OR (status = 'failed' AND code = ANY(%(codes)s)))
      AND (%(tenant_id)s::text IS NULL OR tenant_id = %(tenant_id)s)
"""  # noqa: S608  (the same)
_COMPACT = """
    WITH old AS (
        DELETE FROM request_counts WHERE at < %s AND at <> date_trunc('hour', at)
        RETURNING date_trunc('hour', at) AS at, tenant_id, class, status_class, bucket, count
    )
    INSERT INTO request_counts SELECT at, tenant_id, class, status_class, bucket, sum(count) FROM old
    GROUP BY at, tenant_id, class, status_class, bucket
    ON CONFLICT (at, tenant_id, class, status_class, bucket)
    DO UPDATE SET count = request_counts.count + excluded.count
"""
_FORGET = "DELETE FROM request_counts WHERE at < %s"
_COLUMNS = ", ".join(field.name for field in fields(SloAlertRow))
_WANTED = "WHERE (%(is_open)s::boolean IS NULL OR (closed_at IS NULL) = %(is_open)s)"
_ALERTS = f"""
    SELECT {_COLUMNS} FROM slo_alerts {_WANTED} ORDER BY opened_at DESC, alert_id DESC OFFSET %(skip)s LIMIT %(limit)s
"""  # noqa: S608  (column names)
_COUNT = f"SELECT count(*) FROM slo_alerts {_WANTED}"  # noqa: S608  (the same)


class PostgresObjectives:
    """`domain.governance.ports.SloMaintenance` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def windows(self, now: datetime, tenant_id: str | None) -> dict[int, WindowCounts]:
        found = {window: WindowCounts() for window in WINDOWS_S}
        since = {f"since_{window}": now - timedelta(seconds=window) for window in WINDOWS_S}
        with self._database.connection() as connection:
            _add_requests(connection, found, {**since, "tenant_id": tenant_id})
            _add_turns(connection, found, {**since, "tenant_id": tenant_id, "codes": list(_OURS)})
        return found

    def compact(self, now: datetime) -> None:
        # two processes that do so at once: the second one finds the rows gone
        with self._database.connection() as connection:
            connection.execute(_COMPACT, (now - timedelta(seconds=_MINUTES_S),), prepare=True)
            connection.execute(_FORGET, (now - timedelta(seconds=_KEPT_S),), prepare=True)


class PostgresAlerts:
    """`domain.governance.ports.AlertReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, *, is_open: bool | None, skip: int, limit: int) -> AlertPage:
        parameters = {"is_open": is_open, "skip": skip, "limit": limit}
        with self._database.connection() as connection:
            found = [SloAlertRow(*row) for row in connection.execute(_ALERTS.encode(), parameters, prepare=True)]
            total = connection.execute(_COUNT.encode(), {"is_open": is_open}, prepare=True).fetchone()
        return AlertPage(found, total[0] if total else 0)


def _add_requests(connection: Connection, found: dict[int, WindowCounts], parameters: dict[str, object]) -> None:
    for kind, status_class, bucket, *counts in connection.execute(_REQUESTS.encode(), parameters, prepare=True):
        for window, count in zip(WINDOWS_S, counts, strict=True):
            if count:
                known = found[window].classes.setdefault(kind, ClassCounts())
                known.add(bucket, count, failed=status_class == _SERVER_FAULT)


def _add_turns(connection: Connection, found: dict[int, WindowCounts], parameters: dict[str, object]) -> None:
    row = connection.execute(_TURNS.encode(), parameters, prepare=True).fetchone()
    for place, window in enumerate(WINDOWS_S):
        if row is not None:
            found[window].turns, found[window].failed_turns = row[2 * place], row[2 * place + 1]
