"""Queries of saved components."""

from collections.abc import Mapping
from dataclasses import fields

from adapters.postgres.ledger.pool import Database
from domain.components.ports import ComponentVersionPage
from domain.components.projection import ComponentVersionRow
from domain.errors import NotFound

_COLUMNS = ", ".join(f"v.{field.name}" for field in fields(ComponentVersionRow))
_FROM = "FROM component_versions AS v JOIN components AS c USING (tenant_id, component_id)"
_OF_ONE = """
    WHERE v.tenant_id = %(tenant_id)s AND v.component_id = %(component_id)s
      AND NOT c.deleted AND v.version > c.deleted_through
"""
_VERSIONS = f"SELECT {_COLUMNS} {_FROM} {_OF_ONE} ORDER BY v.version DESC OFFSET %(skip)s LIMIT %(limit)s"
_VERSION_COUNT = f"SELECT count(*) {_FROM} {_OF_ONE}"
_VERSION = f"SELECT {_COLUMNS} {_FROM} {_OF_ONE} AND v.version = %(version)s"
_NEWEST = """
    WHERE c.tenant_id = %(tenant_id)s AND NOT c.deleted AND v.version = c.version
      AND (%(component_type)s::text IS NULL OR c.component_type = %(component_type)s)
"""
_PAGE = f"SELECT {_COLUMNS} {_FROM} {_NEWEST} ORDER BY c.component_id OFFSET %(skip)s LIMIT %(limit)s"
_COUNT = f"SELECT count(*) {_FROM} {_NEWEST}"


class PostgresComponents:
    """`domain.components.ports.ComponentReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self, tenant_id: str, component_id: str, version: int) -> ComponentVersionRow:
        one = {"tenant_id": tenant_id, "component_id": component_id, "version": version}
        with self._database.connection() as connection:
            row = connection.execute(_VERSION.encode(), one, prepare=True).fetchone()
        if row is None:
            raise NotFound(f"there is no version {version} of component {component_id}")
        return ComponentVersionRow(*row)

    def versions(self, tenant_id: str, component_id: str, *, skip: int, limit: int) -> ComponentVersionPage:
        one = {"tenant_id": tenant_id, "component_id": component_id, "skip": skip, "limit": limit}
        return self._page(_VERSIONS, _VERSION_COUNT, one)

    def newest(self, tenant_id: str, component_type: str | None, *, skip: int, limit: int) -> ComponentVersionPage:
        wanted = {"tenant_id": tenant_id, "component_type": component_type, "skip": skip, "limit": limit}
        return self._page(_PAGE, _COUNT, wanted)

    def _page(self, rows: str, count: str, wanted: Mapping[str, object]) -> ComponentVersionPage:
        with self._database.connection() as connection:
            found = [ComponentVersionRow(*row) for row in connection.execute(rows.encode(), wanted, prepare=True)]
            total = connection.execute(count.encode(), wanted, prepare=True).fetchone()
        return ComponentVersionPage(found, total[0] if total else 0)
