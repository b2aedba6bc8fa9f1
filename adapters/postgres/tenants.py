"""Queries of the tenants. `default` is always there, since the database is."""

from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.errors import NotFound
from domain.tenant_ids import DEFAULT
from domain.tenants.ports import ListedTenant, Status, TenantPage

_TENANTS = f"""
    FROM (
        SELECT t.id, c.body, CASE WHEN t.deleted_at IS NULL THEN 'active' ELSE 'deleted' END AS status,
               t.created_at, t.deleted_at, t.version
        FROM tenants AS t LEFT JOIN content AS c ON c.owner = 'tenant_' || t.id || '~name' AND c.hash = t.name_hash
        UNION ALL
        SELECT '{DEFAULT}', '{DEFAULT}', 'active', min(applied_at), NULL, 0 FROM schema_migrations
    ) AS listed
    WHERE (%(status)s::text IS NULL OR status = %(status)s)
"""  # noqa: S608  (a constant)
_PAGE = f"SELECT * {_TENANTS} ORDER BY id OFFSET %(skip)s LIMIT %(limit)s"
_COUNT = f"SELECT count(*) {_TENANTS}"
_GET = f"SELECT * {_TENANTS} AND id = %(id)s"


class PostgresTenants:
    """`domain.tenants.ports.TenantReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, status: Status | None, *, skip: int, limit: int) -> TenantPage:
        values: dict[str, Any] = {"status": status}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE.encode(), {**values, "skip": skip, "limit": limit}, prepare=True)
            tenants = [ListedTenant(*row) for row in rows]
            count = connection.execute(_COUNT.encode(), values, prepare=True).fetchone()
        return TenantPage(tenants, count[0] if count else 0)

    def get(self, tenant_id: str) -> ListedTenant:
        with self._database.connection() as connection:
            row = connection.execute(_GET.encode(), {"status": None, "id": tenant_id}, prepare=True).fetchone()
        if row is None:
            raise NotFound(f"there is no tenant {tenant_id}")
        return ListedTenant(*row)
