"""Queries of clients. Their texts are joined from the content store, so erased ones are nowhere else."""

from collections.abc import Iterator
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.clients.aggregate import owner_prefix
from domain.clients.ports import ClientFilter, ClientPage, ClientView
from domain.clients.profile import profile_of
from domain.records.documents import fold_text, parse_document

_COLUMNS = "r.id, r.status, r.created_at, r.updated_at, r.version, c.body"
_JOINED = """
    FROM clients AS r LEFT JOIN content AS c ON c.owner = %(owner)s || r.id AND c.hash = r.profile_hash
    WHERE r.tenant_id = %(tenant_id)s
      AND (%(status)s::text IS NULL OR r.status = %(status)s)
      AND (%(terms)s::text[] = '{}' OR (
          SELECT bool_and(strpos(c.body::jsonb -> 'folded' ->> 'text', term) > 0)
          FROM unnest(%(terms)s::text[]) AS term
      ))
"""
_PAGE = f"SELECT {_COLUMNS} {_JOINED} ORDER BY r.id OFFSET %(skip)s LIMIT %(limit)s"
_PORTION = f"SELECT {_COLUMNS} {_JOINED} AND r.id > %(after)s ORDER BY r.id LIMIT 1000"
_COUNT = f"SELECT count(*) {_JOINED}"


class PostgresClients:
    """`domain.clients.ports.ClientReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: ClientFilter, *, skip: int, limit: int) -> ClientPage:
        values = _values(wanted)
        with self._database.connection() as connection:
            paged = {**values, "skip": skip, "limit": limit}
            rows = connection.execute(_PAGE.encode(), paged, prepare=True, binary=True).fetchall()
            count = connection.execute(_COUNT.encode(), values, prepare=True).fetchone()
        return ClientPage([_view(row) for row in rows], count[0] if count else 0)

    def all(self, wanted: ClientFilter) -> Iterator[ClientView]:
        values, after = _values(wanted), 0
        while rows := self._portion({**values, "after": after}):
            yield from map(_view, rows)
            after = rows[-1][0]

    def _portion(self, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(_PORTION.encode(), values, prepare=True, binary=True).fetchall()


def _values(wanted: ClientFilter) -> dict[str, Any]:
    return {
        "tenant_id": wanted.tenant_id,
        "owner": owner_prefix(wanted.tenant_id),
        "status": wanted.status,
        "terms": [fold_text(term) for term in wanted.terms],
    }


def _view(row: tuple[Any, ...]) -> ClientView:
    client_id, status, created_at, updated_at, version, body = row
    return ClientView(client_id, status, created_at, updated_at, version, profile_of(parse_document(body)))
