"""Queries of approvals."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.approvals.aggregate import OPEN
from domain.approvals.ports import ApprovalCount, ApprovalFilter, ApprovalPage, ApprovalStepView, ApprovalView
from domain.approvals.projection import ApprovalRow, ApprovalStepRow

_COLUMNS = ", ".join(f"a.{field.name}" for field in fields(ApprovalRow))
_STEP_COLUMNS = ", ".join(f"s.{field.name}" for field in fields(ApprovalStepRow))
_BODIES = ("content_hash", "payload_hash", "comment_hash", "edited_hash")
_TEXTS = " ".join(
    f"LEFT JOIN content AS c_{name} ON c_{name}.owner = a.owner AND c_{name}.hash = a.{name}" for name in _BODIES
)
_SELECT = f"""
    SELECT {_COLUMNS}, {", ".join(f"c_{name}.body" for name in _BODIES)} FROM approvals AS a {_TEXTS}
"""  # noqa: S608  (column names)
_GET = f"{_SELECT} WHERE a.tenant_id = %s AND a.id = %s"
_HISTORY = f"""
    SELECT {_STEP_COLUMNS}, m.body, e.body FROM approval_steps AS s
    JOIN approvals AS a ON a.id = s.approval_id
    LEFT JOIN content AS m ON m.owner = a.owner AND m.hash = s.comment_hash
    LEFT JOIN content AS e ON e.owner = a.owner AND e.hash = s.content_hash
    WHERE a.tenant_id = %s AND s.approval_id = %s ORDER BY s.step
"""  # noqa: S608  (the same)
_COUNTS = "SELECT status, risk, count(*), min(created_at) FROM approvals GROUP BY 1, 2 ORDER BY 1, 2"
_OVERDUE = """
    SELECT id FROM approvals WHERE status IN ('pending', 'escalated') AND expires_at < %s
    ORDER BY expires_at, id LIMIT %s
"""
_COUNT_OVERDUE = "SELECT count(*) FROM approvals WHERE status IN ('pending', 'escalated') AND expires_at < %s"
_CONDITIONS = {
    "status": "a.status = ANY(%(status)s)",
    "assigned_to": "%(assigned_to)s = ANY(a.deciders)",
    "since": "a.created_at >= %(since)s",
    "before": "a.created_at < %(before)s",
}
_ONLY_OPEN = " AND a.status IN ('pending', 'escalated')"


class PostgresApprovals:
    """`domain.approvals.ports.ApprovalReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: ApprovalFilter, *, skip: int, limit: int, newest_first: bool) -> ApprovalPage:
        values: dict[str, Any] = {
            f.name: value for f in fields(wanted) if (value := getattr(wanted, f.name)) is not None
        }
        passing = " AND ".join(_CONDITIONS.get(name, f"a.{name} = %({name})s") for name in values)
        if wanted.status is not None:
            values["status"] = list(wanted.status)
            passing += _ONLY_OPEN if set(wanted.status) <= set(OPEN) else ""  # lets the planner use the partial index
        order = "DESC" if newest_first else "ASC"
        page = f"{_SELECT} WHERE {passing} ORDER BY a.created_at {order}, a.id {order} OFFSET %(skip)s LIMIT %(limit)s"
        count = f"SELECT count(*) FROM approvals AS a WHERE {passing}"  # noqa: S608  (the fields of ApprovalFilter)
        with self._database.connection() as connection:
            rows = connection.execute(page.encode(), {**values, "skip": skip, "limit": limit}).fetchall()
            total = connection.execute(count.encode(), values).fetchone()
        return ApprovalPage([_to_approval(row) for row in rows], total[0] if total else 0)

    def get(self, tenant_id: str, approval_id: str) -> ApprovalView | None:
        with self._database.connection() as connection:
            row = connection.execute(_GET.encode(), (tenant_id, approval_id), prepare=True).fetchone()
        return _to_approval(row) if row else None

    def history(self, tenant_id: str, approval_id: str) -> list[ApprovalStepView]:
        with self._database.connection() as connection:
            rows = connection.execute(_HISTORY.encode(), (tenant_id, approval_id), prepare=True).fetchall()
        return [ApprovalStepView(ApprovalStepRow(*row[:-2]), row[-2], row[-1]) for row in rows]

    def overdue(self, at: datetime, limit: int) -> list[str]:
        """Return the ids of open approvals of all tenants that expire before `at`, the longest overdue first."""
        with self._database.connection() as connection:
            return [row[0] for row in connection.execute(_OVERDUE, (at, limit), prepare=True)]

    def count_overdue(self, at: datetime) -> int:
        with self._database.connection() as connection:
            row = connection.execute(_COUNT_OVERDUE, (at,), prepare=True).fetchone()
        return int(row[0]) if row else 0

    def counts(self) -> list[ApprovalCount]:
        with self._database.connection() as connection:
            rows = connection.execute(_COUNTS, prepare=True).fetchall()
        return [ApprovalCount(*row) for row in rows]


def _to_approval(row: tuple[Any, ...]) -> ApprovalView:
    return ApprovalView(ApprovalRow(*row[: -len(_BODIES)]), *row[-len(_BODIES) :])
