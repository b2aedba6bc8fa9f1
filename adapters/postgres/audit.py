"""Queries of the audit."""

from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.audit.ports import MOST_COUNTED, AuditFilter, AuditPage
from domain.audit.projection import AuditRow

_BATCH = 2_000
_COLUMNS = ", ".join(field.name for field in fields(AuditRow))
_CONDITIONS = {
    "by": "by = %(by)s",
    "kind": "kind = %(kind)s",
    "subject": "subject = %(subject)s",
    "since": "at >= %(since)s",
    "until": "at < %(until)s",
    # of this tenant only: an entry of another one would say when it happened
    "before": """(at, position) < (
        (SELECT at FROM audit WHERE position = %(before)s AND tenant_id = %(tenant_id)s), %(before)s
    )""",
}
_ORDER = "ORDER BY at DESC, position DESC"
_HEAD = "SELECT coalesce(max(position), 0) FROM audit"


class PostgresAudit:
    """`domain.audit.ports.AuditReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: AuditFilter, *, skip: int, limit: int) -> AuditPage:
        where = _where(wanted)
        # in the order of an index: otherwise the planner reads the table where it believes that most rows match
        matching = f"SELECT FROM audit {where} {_ORDER} LIMIT {MOST_COUNTED}"
        counted = f"SELECT count(*) FROM ({matching}) AS counted"  # noqa: S608  (the same)
        parameters = {**asdict(wanted), "skip": skip, "limit": limit}
        with self._database.connection() as connection:
            rows = connection.execute(_select(where).encode(), parameters, prepare=True)
            entries = [AuditRow(*row) for row in rows]
            total = connection.execute(counted.encode(), parameters, prepare=True).fetchone()
        return AuditPage(entries, total[0] if total else 0)

    def export(self, wanted: AuditFilter) -> Iterator[list[AuditRow]]:
        """Yield batches, each by a query of its own: a slow client holds no connection."""
        with self._database.connection() as connection:
            row = connection.execute(_HEAD).fetchone()
        head = row[0] if row else 0
        while entries := self._batch(wanted, head):
            yield entries
            if len(entries) < _BATCH:
                return
            wanted = replace(wanted, before=entries[-1].position)

    def _batch(self, wanted: AuditFilter, head: int) -> list[AuditRow]:
        statement = _select(f"{_where(wanted)} AND position <= %(head)s")
        parameters: dict[str, Any] = {**asdict(wanted), "skip": 0, "limit": _BATCH, "head": head}
        with self._database.connection() as connection:
            return [AuditRow(*row) for row in connection.execute(statement.encode(), parameters, prepare=True)]


def _where(wanted: AuditFilter) -> str:
    """Return the conditions that are given, and no others: each set of them has a plan of its own."""
    given = [condition for name, condition in _CONDITIONS.items() if getattr(wanted, name) is not None]
    return " AND ".join(["WHERE tenant_id = %(tenant_id)s", *given])


def _select(where: str) -> str:
    return f"SELECT {_COLUMNS} FROM audit {where} {_ORDER} OFFSET %(skip)s LIMIT %(limit)s"  # noqa: S608  (conditions of this module)
