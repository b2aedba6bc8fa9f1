"""Queries of erasures."""

from dataclasses import asdict, fields

from adapters.postgres.ledger.pool import Database
from domain.erasures.ports import ErasureFilter, ErasurePage
from domain.erasures.projection import ErasureRow

_COLUMNS = ", ".join(field.name for field in fields(ErasureRow))
_WANTED = """
    WHERE tenant_id = %(tenant_id)s
      AND (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(status)s::text IS NULL OR status = %(status)s)
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM erasures {_WANTED}
    ORDER BY requested_at DESC, erasure_id DESC OFFSET %(skip)s LIMIT %(limit)s
"""  # noqa: S608  (column names)
_TOTAL = f"SELECT count(*) FROM erasures {_WANTED}"  # noqa: S608  (the same)
_GET = f"SELECT {_COLUMNS} FROM erasures WHERE tenant_id = %s AND erasure_id = %s"  # noqa: S608  (the same)
_RUNNING = "SELECT erasure_id FROM erasures WHERE status = 'running' ORDER BY requested_at LIMIT %s"


class PostgresErasures:
    """`domain.erasures.ports.ErasureReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: ErasureFilter, *, skip: int, limit: int) -> ErasurePage:
        parameters = asdict(wanted)
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE.encode(), {**parameters, "skip": skip, "limit": limit}, prepare=True)
            found = [ErasureRow(*row) for row in rows]
            total = connection.execute(_TOTAL.encode(), parameters, prepare=True).fetchone()
        return ErasurePage(found, total[0] if total else 0)

    def get(self, tenant_id: str, erasure_id: str) -> ErasureRow | None:
        with self._database.connection() as connection:
            row = connection.execute(_GET.encode(), (tenant_id, erasure_id), prepare=True).fetchone()
        return ErasureRow(*row) if row else None

    def read_running(self, limit: int) -> list[str]:
        with self._database.connection() as connection:
            return [row[0] for row in connection.execute(_RUNNING, (limit,), prepare=True)]
