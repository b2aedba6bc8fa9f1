"""Queries of documents."""

from dataclasses import asdict, fields

from adapters.postgres.ledger.pool import Database
from domain.errors import NotFound
from domain.knowledge.ports import DocumentFilter, DocumentPage
from domain.knowledge.projection import DocumentRow

_COLUMNS = ", ".join(field.name for field in fields(DocumentRow))
_WANTED = """
    WHERE tenant_id = %(tenant_id)s
      AND (%(collection)s::text IS NULL OR collection = %(collection)s)
      AND (%(status)s::text IS NULL OR status = %(status)s)
"""
_PAGE = f"SELECT {_COLUMNS} FROM documents {_WANTED} ORDER BY document_id OFFSET %(skip)s LIMIT %(limit)s"  # noqa: S608  (column names)
_TOTAL = f"SELECT count(*) FROM documents {_WANTED}"  # noqa: S608  (the same)
_GET = f"SELECT {_COLUMNS} FROM documents WHERE tenant_id = %s AND document_id = %s"  # noqa: S608  (the same)
_PENDING = f"SELECT {_COLUMNS} FROM documents WHERE status = 'processing' ORDER BY updated_at LIMIT %s"  # noqa: S608  (the same)
_NOT_OF = f"""
    SELECT {_COLUMNS} FROM documents
    WHERE indexed_generation > 0 AND model <> %s AND (tenant_id, document_id) > (%s, %s)
    ORDER BY tenant_id, document_id LIMIT %s
"""  # noqa: S608  (the same)


class PostgresDocuments:
    """`domain.knowledge.ports.DocumentReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: DocumentFilter, *, skip: int, limit: int) -> DocumentPage:
        parameters = asdict(wanted)
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE.encode(), {**parameters, "skip": skip, "limit": limit}, prepare=True)
            found = [DocumentRow(*row) for row in rows]
            total = connection.execute(_TOTAL.encode(), parameters, prepare=True).fetchone()
        return DocumentPage(found, total[0] if total else 0)

    def get(self, tenant_id: str, document_id: str) -> DocumentRow:
        with self._database.connection() as connection:
            row = connection.execute(_GET.encode(), (tenant_id, document_id), prepare=True).fetchone()
        if row is None:
            raise NotFound(f"there is no document {document_id}")
        return DocumentRow(*row)

    def read_unindexed(self, limit: int) -> list[DocumentRow]:
        with self._database.connection() as connection:
            return [DocumentRow(*row) for row in connection.execute(_PENDING.encode(), (limit,), prepare=True)]

    def not_of(self, model: str, after: tuple[str, str], limit: int) -> list[DocumentRow]:
        with self._database.connection() as connection:
            rows = connection.execute(_NOT_OF.encode(), (model, *after, limit), prepare=True)
            return [DocumentRow(*row) for row in rows]
