"""The index in PostgreSQL: pgvector's HNSW over half-precision vectors, and full text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from psycopg.types.json import Jsonb

from adapters.postgres.knowledge.conditions import documents_in
from adapters.postgres.knowledge.keyword import CONFIGURATION, match_words, terms_of
from adapters.postgres.ledger.pool import Connection, Database, connect, translate_database_errors
from domain.errors import Invalid
from domain.knowledge.chunking import Chunk, embedded_text
from domain.knowledge.fusion import ChunkKey, Ranked
from domain.knowledge.index import ChunkHit, DocumentEntry, Scope
from domain.knowledge.ports import Generation, Vector

MAX_DIMENSIONS = 4_000
"""Limit of pgvector on half-precision vectors that an HNSW index has."""
EXACT = 10_000
"""Chunks up to which all distances are computed, which finds every neighbour; the index serves larger scopes."""
MAX_SCANNED = 40_000
"""Vectors that one search in the index looks at, at most."""
MAX_EF = 1_000

_MARK = ("\ue000", "\ue001")
"""Characters of the private use area, which the highlighter puts around words until the text is escaped."""
_HEADLINE = f"StartSel={_MARK[0]}, StopSel={_MARK[1]}, MaxFragments=2, MaxWords=30, MinWords=10"

_IS_INDEXING = "SELECT FROM knowledge_indexing WHERE owner = %s AND generation = %s FOR KEY SHARE"
_ADD = f"""
    INSERT INTO knowledge_chunks (
        owner, generation, number, body, heading, page, words, terms, dimensions, embedding)
    SELECT %(owner)s, %(generation)s, number, body, heading, page, words,
           to_tsvector('{CONFIGURATION}', indexed), %(dimensions)s, embedding::halfvec
    FROM unnest(%(numbers)s::int[], %(bodies)s::text[], %(headings)s::text[], %(pages)s::int[], %(words)s::int[],
                %(indexed)s::text[], %(vectors)s::text[])
        AS given (number, body, heading, page, words, indexed, embedding)
    ON CONFLICT DO NOTHING
"""  # noqa: S608  (a constant)
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 38))"
_ACTIVATE = """
    INSERT INTO knowledge_documents (
        owner, tenant_id, document_id, collection, generation, title, metadata, dated, model, dimensions, chunks, words)
    VALUES (%(owner)s, %(tenant_id)s, %(document_id)s, %(collection)s, %(generation)s, %(title)s, %(metadata)s,
            %(dated)s, %(model)s, %(dimensions)s, %(chunks)s, %(words)s)
    ON CONFLICT (owner) DO UPDATE SET
        collection = excluded.collection, generation = excluded.generation, title = excluded.title,
        metadata = excluded.metadata, dated = excluded.dated, model = excluded.model,
        dimensions = excluded.dimensions, chunks = excluded.chunks, words = excluded.words
    WHERE knowledge_documents.generation < excluded.generation
"""
_REMOVE = ("DELETE FROM knowledge_documents WHERE owner = %s", "DELETE FROM knowledge_chunks WHERE owner = %s")
_REMOVE_BEFORE = "DELETE FROM knowledge_chunks WHERE owner = %s AND generation < %s"
# one look into the index for each model, however many documents there are
_MODELS = """
    WITH RECURSIVE known AS (
        (SELECT model FROM knowledge_documents WHERE tenant_id = %(tenant_id)s ORDER BY model LIMIT 1)
        UNION ALL
        SELECT (SELECT d.model FROM knowledge_documents AS d
                WHERE d.tenant_id = %(tenant_id)s AND d.model > known.model ORDER BY d.model LIMIT 1)
        FROM known WHERE known.model IS NOT NULL
    ) SELECT model FROM known WHERE model IS NOT NULL
"""
_COUNT = "SELECT count(*), coalesce(sum(d.chunks), 0) FROM knowledge_documents AS d WHERE {documents}"
_COUNT_UP_TO = """
    SELECT coalesce(sum(chunks), 0), coalesce(max(dimensions), 0) FROM (
        SELECT d.chunks, d.dimensions FROM knowledge_documents AS d WHERE {documents} AND d.model = %(model)s
        LIMIT %(exact)s + 1) AS counted
"""
# adding zero keeps the planner from the index, which would find neighbours of other documents first
_EXACT = """
    WITH wanted AS MATERIALIZED (
        SELECT d.owner, d.generation FROM knowledge_documents AS d WHERE {documents} AND d.model = %(model)s
    )
    SELECT c.owner, c.number, (c.embedding::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions})) + 0 AS distance
    FROM wanted AS w JOIN knowledge_chunks AS c ON c.owner = w.owner AND c.generation = w.generation
    ORDER BY distance, c.owner, c.number LIMIT %(most)s
"""
_INDEXED = """
    WITH near AS MATERIALIZED (
        SELECT c.owner, c.number, c.embedding::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions}) AS distance
        FROM knowledge_chunks AS c CROSS JOIN LATERAL (
            SELECT FROM knowledge_documents AS d
            WHERE d.owner = c.owner AND d.generation = c.generation AND d.model = %(model)s AND {documents}
            OFFSET 0
        ) AS wanted
        WHERE c.dimensions = {dimensions}
        ORDER BY c.embedding::halfvec({dimensions}) <=> %(vector)s::halfvec({dimensions}) LIMIT %(most)s
    )
    SELECT owner, number, distance FROM near ORDER BY distance + 0, owner, number
"""
_SCAN = """
    SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', %s, true),
           set_config('hnsw.max_scan_tuples', %s, true), set_config('enable_seqscan', 'off', true),
           set_config('enable_sort', 'off', true)
"""
_PASSAGES = f"""
    SELECT c.owner, c.number, d.document_id, d.collection, d.title, c.body, c.heading, c.page, d.metadata,
           ts_headline('{CONFIGURATION}', c.body, %(words)s::tsquery, %(options)s)
    FROM unnest(%(owners)s::text[], %(numbers)s::int[]) AS wanted (owner, number)
    JOIN knowledge_documents AS d ON d.owner = wanted.owner
    JOIN knowledge_chunks AS c ON c.owner = d.owner AND c.generation = d.generation AND c.number = wanted.number
"""  # noqa: S608  (a constant)


class PgvectorStore:
    """`domain.knowledge.ports.VectorStore` on PostgreSQL with pgvector."""

    name = "pgvector"

    def __init__(self, database: Database, *, exact: int = EXACT) -> None:
        self._database = database
        self._exact = exact
        self._prepared = {384}

    def prepare(self, dimensions: int) -> None:
        if not 0 < dimensions <= MAX_DIMENSIONS:
            raise Invalid(f"vectors of {dimensions} dimensions cannot be indexed", field="model", limit=MAX_DIMENSIONS)
        if dimensions in self._prepared:
            return
        statement = (
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS knowledge_chunks_embedding_{dimensions} ON knowledge_chunks "
            f"USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops) WHERE dimensions = {dimensions}"
        )
        with translate_database_errors(), connect(self._database.dsn) as connection:
            connection.execute(statement.encode())
        self._prepared.add(dimensions)

    def add(self, generation: Generation, title: str, chunks: Sequence[Chunk], vectors: Sequence[Vector]) -> None:
        values = {
            "owner": generation.owner,
            "generation": generation.number,
            "numbers": [chunk.number for chunk in chunks],
            "bodies": [chunk.text for chunk in chunks],
            "headings": [chunk.heading for chunk in chunks],
            "pages": [chunk.page for chunk in chunks],
            "words": [chunk.words for chunk in chunks],
            "indexed": [embedded_text(title, chunk.heading, chunk.text) for chunk in chunks],
            "vectors": [_to_text(vector) for vector in vectors],
            "dimensions": len(vectors[0]),
        }
        one = (generation.owner, generation.number)
        with self._database.connection() as connection, connection.transaction():
            # the lock on this row keeps a deletion waiting, which then removes what is added here
            if connection.execute(_IS_INDEXING, one).fetchone() is not None:
                connection.execute(_ADD.encode(), values)

    def activate(self, entry: DocumentEntry, is_wanted: Callable[[], bool]) -> bool:
        generation = entry.generation
        values = {
            "owner": generation.owner,
            "generation": generation.number,
            "tenant_id": entry.tenant_id,
            "document_id": entry.document_id,
            "collection": entry.collection,
            "title": entry.title,
            "metadata": Jsonb(entry.metadata),
            "dated": entry.dated,
            "model": entry.model,
            "dimensions": entry.dimensions,
            "chunks": entry.chunks,
            "words": entry.words,
        }
        with self._database.connection() as connection, connection.transaction():
            connection.execute(_LOCK, (generation.owner,))
            if not is_wanted():
                return False
            connection.execute(_ACTIVATE, values)
        return True

    def remove(self, owner: str, *, before: int | None = None) -> None:
        with self._database.connection() as connection, connection.transaction():
            connection.execute(_LOCK, (owner,))
            if before is not None:
                connection.execute(_REMOVE_BEFORE, (owner, before))
                return
            for statement in _REMOVE:
                connection.execute(statement.encode(), (owner,))

    def models(self, tenant_id: str) -> Sequence[str]:
        with self._database.connection() as connection:
            return [row[0] for row in connection.execute(_MODELS, {"tenant_id": tenant_id}, prepare=True)]

    def count(self, scope: Scope) -> tuple[int, int]:
        documents, values = documents_in(scope)
        with self._database.connection() as connection:
            row = connection.execute(_COUNT.format(documents=documents).encode(), values).fetchone()
        return (row[0], int(row[1])) if row else (0, 0)

    def nearest(self, scope: Scope, model: str, vector: Vector, most: int) -> list[Ranked]:
        documents, scoped = documents_in(scope)
        values = {**scoped, "model": model, "vector": _to_text(vector), "most": most, "exact": self._exact}
        with self._database.connection() as connection, connection.transaction():
            counted = connection.execute(_COUNT_UP_TO.format(documents=documents).encode(), values, prepare=False)
            chunks, dimensions = counted.fetchone() or (0, 0)
            if not chunks or dimensions != len(vector):
                return []
            statement = {"documents": documents, "dimensions": dimensions}
            if chunks > self._exact:
                ef = min(max(most, 100), MAX_EF)
                connection.execute(_SCAN, (str(ef), str(MAX_SCANNED)))
                found = _read_ranking(connection, _INDEXED.format(**statement), values)
                if len(found) == most:
                    return found
            return _read_ranking(connection, _EXACT.format(**statement), values)

    def match_words(self, scope: Scope, query: str, most: int) -> list[Ranked]:
        documents, values = documents_in(scope)
        with self._database.connection() as connection:
            return match_words(connection, documents, values, terms_of(connection, query), most)

    def passages(self, keys: Sequence[ChunkKey], query: str) -> Mapping[ChunkKey, ChunkHit]:
        if not keys:
            return {}
        with self._database.connection() as connection:
            words = terms_of(connection, query)
            values = {
                "owners": [owner for owner, _ in keys],
                "numbers": [number for _, number in keys],
                "words": " | ".join(words),
                "options": _HEADLINE,
            }
            rows = connection.execute(_PASSAGES.encode(), values, prepare=False).fetchall()
        found = [replace(ChunkHit(*row[:-1]), highlights=_highlights(row[-1]) if words else ()) for row in rows]
        return {(passage.owner, passage.number): passage for passage in found}


def _read_ranking(connection: Connection, statement: str, values: Mapping[str, Any]) -> list[Ranked]:
    rows = connection.execute(statement.encode(), values, prepare=False)
    return [Ranked(owner, number, 1.0 - distance) for owner, number, distance in rows]


def _to_text(vector: Vector) -> str:
    return f"[{','.join(f'{value:.5g}' for value in vector)}]"


def _highlights(headline: str) -> tuple[str, ...]:
    """Return the fragments in which words match, as HTML with `<mark>`; nothing of the document is markup."""
    fragments = (fragment.strip() for fragment in headline.split(" ... ") if _MARK[0] in fragment)
    return tuple(escape(each).replace(_MARK[0], "<mark>").replace(_MARK[1], "</mark>") for each in fragments)
