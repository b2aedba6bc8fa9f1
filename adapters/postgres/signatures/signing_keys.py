"""The table of encrypted private signing keys."""

from adapters.postgres.ledger.pool import Database

_PUT = "INSERT INTO signing_key_secrets (key_id, encrypted) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_GET = "SELECT encrypted FROM signing_key_secrets WHERE key_id = %s"
_DELETE = "DELETE FROM signing_key_secrets WHERE key_id = %s"


class PostgresEncryptedKeys:
    """`domain.signatures.ports.EncryptedKeyStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, key_id: str, encrypted: bytes) -> None:
        with self._database.connection() as connection:
            connection.execute(_PUT, (key_id, encrypted))

    def get(self, key_id: str) -> bytes | None:
        with self._database.connection() as connection:
            row = connection.execute(_GET, (key_id,)).fetchone()
        return bytes(row[0]) if row else None

    def delete(self, key_id: str) -> None:
        with self._database.connection() as connection:
            connection.execute(_DELETE, (key_id,))
