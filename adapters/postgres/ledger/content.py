"""The content store's table."""

from collections.abc import Iterable, Mapping

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.prepared import Statement, text, texts
from domain.content import Content

_PUT = Statement(b"content_put", b"INSERT INTO content (owner, hash, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
_GET = Statement(b"content_get", b"SELECT hash, body FROM content WHERE owner = $1 AND hash = ANY($2)")
_ERASE = b"DELETE FROM content WHERE owner = %s"


class PostgresContent:
    """`domain.content.ContentStore` and `domain.content.ContentEraser` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, content: Content) -> str:
        self._database.execute(_PUT, (content.owner.encode(), content.hash.encode(), content.text.encode()))
        return content.hash

    def get(self, owner: str, hashes: Iterable[str]) -> Mapping[str, str]:
        result = self._database.execute(_GET, (owner.encode(), texts(list(hashes))))
        value = result.get_value
        return {text(value(row, 0)): text(value(row, 1)) for row in range(result.ntuples)}

    def erase(self, owner: str) -> int:
        with self._database.connection() as connection:
            return connection.execute(_ERASE, (owner,)).rowcount
