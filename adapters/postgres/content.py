"""The content table."""

from collections.abc import Iterable, Mapping

from adapters.postgres.pool import Database
from domain.content import Content

_PUT = "INSERT INTO content (owner, hash, body) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_GET = "SELECT hash, body FROM content WHERE owner = %s AND hash = ANY(%s)"


class PostgresContent:
    """`domain.content.ContentStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, content: Content) -> str:
        with self._database.connection() as connection:
            connection.execute(_PUT, (content.owner, content.hash, content.text), prepare=True)
        return content.hash

    def get(self, owner: str, hashes: Iterable[str]) -> Mapping[str, str]:
        with self._database.connection() as connection:
            return dict(connection.execute(_GET, (owner, list(hashes)), prepare=True, binary=True).fetchall())
