"""Queries of the keys."""

from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.errors import NotFound
from domain.keys.ports import KeyFilter, KeyPage, ListedKey

_KEYS = """
    SELECT k.id, k.tenant_id, c.body, k.scopes,
           CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                WHEN k.expires_at <= now() THEN 'expired'
                ELSE 'active' END,
           k.created_at, k.created_by, k.expires_at, k.rotated_at, k.revoked_at, u.used_at, k.version
    FROM api_keys AS k
    LEFT JOIN content AS c ON c.owner = k.id AND c.hash = k.name_hash
    LEFT JOIN api_key_uses AS u ON u.key_id = k.id
    WHERE k.tenant_id = %(tenant_id)s
"""
_STATUS = """
    AND CASE %(status)s::text
        WHEN 'revoked' THEN k.revoked_at IS NOT NULL
        WHEN 'expired' THEN k.revoked_at IS NULL AND k.expires_at <= now()
        WHEN 'active' THEN k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
        ELSE true END
"""
_PAGE = f"{_KEYS} {_STATUS} ORDER BY k.created_at DESC, k.id OFFSET %(skip)s LIMIT %(limit)s"
_COUNT = f"SELECT count(*) FROM api_keys AS k WHERE k.tenant_id = %(tenant_id)s {_STATUS}"  # noqa: S608  (constants)
_GET = f"{_KEYS} AND k.id = %(id)s"


class PostgresKeyViews:
    """`domain.keys.ports.KeyReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: KeyFilter, *, skip: int, limit: int) -> KeyPage:
        values: dict[str, Any] = {"tenant_id": wanted.tenant_id, "status": wanted.status}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE.encode(), {**values, "skip": skip, "limit": limit}, prepare=True)
            keys = [ListedKey(*row) for row in rows]
            count = connection.execute(_COUNT.encode(), values, prepare=True).fetchone()
        return KeyPage(keys, count[0] if count else 0)

    def get(self, tenant_id: str, key_id: str) -> ListedKey:
        with self._database.connection() as connection:
            row = connection.execute(_GET.encode(), {"tenant_id": tenant_id, "id": key_id}, prepare=True).fetchone()
        if row is None:
            raise NotFound("there is no such key")
        return ListedKey(*row)
