"""Queries of schedules and their firings."""

from dataclasses import fields

from adapters.postgres.ledger.pool import Database
from domain.schedules.ports import FiringPage, FiringWithReason, NamedSchedule, ScheduleFilter, SchedulePage
from domain.schedules.projection import FiringRow, ScheduleRow

_COLUMNS = ", ".join(f"s.{field.name}" for field in fields(ScheduleRow))
_WANTED = """
    WHERE s.tenant_id = %(tenant_id)s AND NOT s.deleted
      AND (%(target_kind)s::text IS NULL OR s.target_kind = %(target_kind)s)
      AND (%(status)s::text IS NULL OR s.paused = (%(status)s = 'paused'))
"""
_PAGE = f"""
    SELECT c.body, {_COLUMNS} FROM schedules AS s
    LEFT JOIN content AS c ON c.owner = s.schedule_id AND c.hash = s.name_hash
    {_WANTED} ORDER BY s.created_at DESC, s.schedule_id DESC OFFSET %(skip)s LIMIT %(limit)s
"""  # noqa: S608  (column names)
_TOTAL = f"SELECT count(*) FROM schedules AS s {_WANTED}"  # noqa: S608  (the same)
_COUNT = "SELECT count(*) FROM schedules WHERE tenant_id = %s AND NOT deleted"
_KNOWN = f"""
    SELECT {_COLUMNS} FROM schedules AS s WHERE NOT s.deleted AND s.schedule_id > %s ORDER BY s.schedule_id LIMIT %s
"""  # noqa: S608  (the same)
_FIRING_COLUMNS = ", ".join(f"f.{field.name}" for field in fields(FiringRow))
_FIRINGS = f"""
    SELECT c.body, {_FIRING_COLUMNS} FROM schedule_firings AS f
    LEFT JOIN content AS c ON c.owner = f.schedule_id AND c.hash = f.reason_hash
    WHERE f.schedule_id = %(schedule_id)s
    ORDER BY f.scheduled_at DESC, f.firing_id DESC OFFSET %(skip)s LIMIT %(limit)s
"""  # noqa: S608  (the same)
_FIRING_COUNT = "SELECT count(*) FROM schedule_firings WHERE schedule_id = %s"


class PostgresSchedules:
    """`domain.schedules.ports.ScheduleReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: ScheduleFilter, *, skip: int, limit: int) -> SchedulePage:
        parameters = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE.encode(), {**parameters, "skip": skip, "limit": limit}, prepare=True)
            found = [NamedSchedule(ScheduleRow(*row), name) for name, *row in rows]
            total = connection.execute(_TOTAL.encode(), parameters, prepare=True).fetchone()
        return SchedulePage(found, total[0] if total else 0)

    def firings(self, schedule_id: str, *, skip: int, limit: int) -> FiringPage:
        parameters = {"schedule_id": schedule_id, "skip": skip, "limit": limit}
        with self._database.connection() as connection:
            rows = connection.execute(_FIRINGS.encode(), parameters, prepare=True)
            found = [FiringWithReason(FiringRow(*row), reason) for reason, *row in rows]
            total = connection.execute(_FIRING_COUNT, (schedule_id,), prepare=True).fetchone()
        return FiringPage(found, total[0] if total else 0)

    def count(self, tenant_id: str) -> int:
        with self._database.connection() as connection:
            found = connection.execute(_COUNT, (tenant_id,), prepare=True).fetchone()
        return found[0] if found else 0

    def list_all(self, after: str, limit: int) -> list[ScheduleRow]:
        with self._database.connection() as connection:
            rows = connection.execute(_KNOWN.encode(), (after, limit), prepare=True)
            return [ScheduleRow(*row) for row in rows]
