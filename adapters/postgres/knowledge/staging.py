"""Chunks of generations that are being indexed."""

from collections.abc import Mapping, Sequence

from adapters.postgres.ledger.pool import Database
from domain.knowledge.chunking import Chunk
from domain.knowledge.ports import Embeddings, Generation, Indexing

_FORGET = ("DELETE FROM knowledge_indexing WHERE {where}", "DELETE FROM knowledge_staged_chunks WHERE {where}")
_ALL = "owner = %(owner)s AND (%(before)s::bigint IS NULL OR generation < %(before)s)"
_ONE = "owner = %(owner)s AND generation = %(generation)s"
_BEGIN = """
    INSERT INTO knowledge_indexing (owner, generation, total, done, words, pages, tokens, model, dimensions)
    VALUES (%(owner)s, %(generation)s, %(total)s, 0, %(words)s, %(pages)s, 0, %(model)s, 0)
"""
_STAGE = """
    INSERT INTO knowledge_staged_chunks (owner, generation, number, body, heading, page)
    SELECT %(owner)s, %(generation)s, given.*
    FROM unnest(%(numbers)s::int[], %(bodies)s::text[], %(headings)s::text[], %(pages)s::int[]) AS given
"""
_COLUMNS = "total, done, words, pages, tokens, model, dimensions"
_STATE = f"SELECT {_COLUMNS} FROM knowledge_indexing WHERE owner = %s AND generation = %s"  # noqa: S608  (column names)
_STATES = f"""
    SELECT DISTINCT ON (owner) owner, {_COLUMNS}
    FROM knowledge_indexing WHERE owner = ANY(%s) ORDER BY owner, generation DESC
"""  # noqa: S608  (the same)
_NEXT = """
    SELECT number, body, heading, page FROM knowledge_staged_chunks
    WHERE owner = %s AND generation = %s ORDER BY number LIMIT %s
"""
_TAKE = "DELETE FROM knowledge_staged_chunks WHERE owner = %s AND generation = %s AND number = ANY(%s)"
_ADVANCE = """
    UPDATE knowledge_indexing SET done = done + %s, tokens = tokens + %s, dimensions = %s
    WHERE owner = %s AND generation = %s
"""
_FORGET_VECTORS = "DELETE FROM content WHERE owner = %s AND hash = %s"
_STAGED_AT_ONCE = 2_000


class PostgresStagedChunks:
    """`domain.knowledge.ports.StagedChunks` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stage(self, generation: Generation, chunks: Sequence[Chunk], pages: int | None, model: str) -> None:
        one = {"owner": generation.owner, "generation": generation.number}
        with self._database.connection() as connection, connection.transaction():
            for statement in _FORGET:
                connection.execute(statement.format(where=_ONE).encode(), one)
            words = sum(chunk.words for chunk in chunks)
            about = {"total": len(chunks), "words": words, "pages": pages, "model": model}
            connection.execute(_BEGIN, {**one, **about})
            for first in range(0, len(chunks), _STAGED_AT_ONCE):
                some = chunks[first : first + _STAGED_AT_ONCE]
                values = {
                    "numbers": [chunk.number for chunk in some],
                    "bodies": [chunk.text for chunk in some],
                    "headings": [chunk.heading for chunk in some],
                    "pages": [chunk.page for chunk in some],
                }
                connection.execute(_STAGE, {**one, **values})

    def state(self, generation: Generation) -> Indexing | None:
        with self._database.connection() as connection:
            row = connection.execute(_STATE, (generation.owner, generation.number), prepare=True).fetchone()
        return Indexing(*row) if row else None

    def states(self, owners: Sequence[str]) -> Mapping[str, Indexing]:
        with self._database.connection() as connection:
            rows = connection.execute(_STATES, (list(owners),), prepare=True).fetchall()
        return {owner: Indexing(*state) for owner, *state in rows}

    def next_batch(self, generation: Generation, most: int) -> list[Chunk]:
        with self._database.connection() as connection:
            rows = connection.execute(_NEXT, (generation.owner, generation.number, most), prepare=True).fetchall()
        return [Chunk(*row) for row in rows]

    def advance(self, generation: Generation, numbers: Sequence[int], embeddings: Embeddings, kept: str) -> None:
        one = (generation.owner, generation.number)
        with self._database.connection() as connection, connection.transaction():
            taken = connection.execute(_TAKE, (*one, list(numbers))).rowcount
            if taken:  # else another attempt has recorded it
                connection.execute(_ADVANCE, (taken, embeddings.tokens, len(embeddings.vectors[0]), *one))
            connection.execute(_FORGET_VECTORS, (generation.owner, kept))

    def remove(self, owner: str, *, before: int | None = None) -> None:
        with self._database.connection() as connection, connection.transaction():
            for statement in _FORGET:
                connection.execute(statement.format(where=_ALL).encode(), {"owner": owner, "before": before})
