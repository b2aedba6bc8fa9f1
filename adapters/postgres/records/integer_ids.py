"""Integer ids and tenants' secrets: small tables that no event tells of."""

from secrets import token_bytes

from adapters.postgres.ledger.pool import Database

_RESERVE = b"SELECT reserve_integer_ids(%s, %s, %s, %s)"
_CREATE = b"INSERT INTO tenant_secrets (tenant_id, purpose, secret) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_SECRET = b"SELECT secret FROM tenant_secrets WHERE tenant_id = %s AND purpose = %s"
_KEY_BYTES = 32


class PostgresIntegerIds:
    """`domain.records.integer_ids.IntegerIds` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, tenant_id: str, kind: str, *, size: int = 1, key: str | None = None) -> int:
        with self._database.connection() as connection:
            row = connection.execute(_RESERVE, (tenant_id, kind, size, key), prepare=True).fetchone()
        return int(row[0]) if row else 0


class PostgresTenantSecrets:
    """`domain.records.integer_ids.TenantSecrets` on PostgreSQL. Nothing is cached: a deleted secret is gone at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def secret(self, tenant_id: str, purpose: str) -> bytes:
        with self._database.connection() as connection:
            row = connection.execute(_SECRET, (tenant_id, purpose), prepare=True, binary=True).fetchone()
            if row is None:
                connection.execute(_CREATE, (tenant_id, purpose, token_bytes(_KEY_BYTES)))
                row = connection.execute(_SECRET, (tenant_id, purpose), prepare=True, binary=True).fetchone()
        return bytes(row[0]) if row else b""
