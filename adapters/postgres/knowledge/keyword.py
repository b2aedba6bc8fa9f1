"""Keyword search: BM25 over PostgreSQL's full-text vectors.

`ts_rank` knows neither the rarity of a word nor the length of a text, which BM25 ranks by. PostgreSQL has no function
that counts a word in a text vector, but `ts_rank` of a single word is the sum of 1/n² over its occurrences, up to a
factor: so its value tells their number.
"""

from itertools import pairwise
from typing import Any

from adapters.postgres.ledger.pool import Connection
from domain.knowledge.fusion import Ranked

CONFIGURATION = "english"
K1 = 1.2
B = 0.75
MAX_TERMS = 32
"""Words of a query that count; more are left out, by their order."""

_MOST_COUNTED = 64
_WEIGHT_OF_ONE = 0.1 / 1.64493406685
"""`ts_rank` of a word that occurs once."""

_TERMS = (
    f"SELECT lexeme FROM unnest(to_tsvector('{CONFIGURATION}', %s)) ORDER BY positions[1], lexeme LIMIT {MAX_TERMS}"  # noqa: S608  (constants)
)
_MATCHING = """
    WITH wanted AS MATERIALIZED (
        SELECT d.owner, d.generation, d.chunks, d.words FROM knowledge_documents AS d WHERE {documents}
    ), size AS (
        SELECT sum(chunks)::float8 AS chunks, greatest(sum(words)::float8 / nullif(sum(chunks), 0), 1) AS words
        FROM wanted
    ), found AS MATERIALIZED (
        SELECT c.owner, c.number, c.words, c.terms
        FROM wanted AS w JOIN knowledge_chunks AS c ON c.owner = w.owner AND c.generation = w.generation
        WHERE c.terms @@ %(any_term)s::tsquery
    ), counted AS MATERIALIZED (
        SELECT f.owner, f.number, f.words, t.place,
               width_bucket(ts_rank(f.terms, t.term)::float8, %(bounds)s::float8[]) AS occurrences
        FROM found AS f CROSS JOIN unnest(%(terms)s::tsquery[]) WITH ORDINALITY AS t (term, place)
        WHERE f.terms @@ t.term
    ), weighed AS (
        SELECT place, ln(1 + (size.chunks - count(*) + 0.5) / (count(*) + 0.5)) AS weight
        FROM counted CROSS JOIN size GROUP BY place, size.chunks
    )
    SELECT c.owner, c.number, sum(
        w.weight * c.occurrences * (%(k1)s + 1)
        / (c.occurrences + %(k1)s * (1 - %(b)s + %(b)s * c.words / size.words))
    ) AS score
    FROM counted AS c JOIN weighed AS w USING (place) CROSS JOIN size
    GROUP BY c.owner, c.number ORDER BY score DESC, c.owner, c.number LIMIT %(most)s
"""


def _bounds() -> list[float]:
    """Return the value of `ts_rank` between each number of occurrences and the next, from 0 and 1 on."""
    sums, total = [0.0], 0.0
    for occurrence in range(1, _MOST_COUNTED + 1):
        total += _WEIGHT_OF_ONE / occurrence**2
        sums.append(total)
    return [(low + high) / 2 for low, high in pairwise(sums)]


_BOUNDS = _bounds()


def terms_of(connection: Connection, query: str) -> list[str]:
    """Return the words of a query in the form of `tsquery`, without endings and stop words."""
    return [_quote(row[0]) for row in connection.execute(_TERMS.encode(), (query,), prepare=True)]


def match_words(
    connection: Connection, documents: str, values: dict[str, Any], terms: list[str], most: int
) -> list[Ranked]:
    """Return the chunks of these documents that match best, by BM25. Rarity counts among these documents."""
    if not terms:
        return []
    parameters = {
        **values,
        "any_term": " | ".join(terms),
        "terms": terms,
        "bounds": _BOUNDS,
        "k1": K1,
        "b": B,
        "most": most,
    }
    rows = connection.execute(_MATCHING.format(documents=documents).encode(), parameters, prepare=False)
    return [Ranked(owner, number, score) for owner, number, score in rows]


def _quote(lexeme: str) -> str:
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
