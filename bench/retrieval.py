"""Searches of documents: latency and recall at several selectivities, the rate of indexing, and relevance.

`python -m bench retrieval [--chunks 100000] [--queries 200] [--cranfield DIRECTORY] [--only latency|ingest|relevance]`.
Latency is that of the store: the query is embedded before. Recall@10 is against all distances, computed in the same
database. The rate of indexing is beside that of bare embedding in the same run. Relevance is nDCG@10 on the Cranfield
collection (`documents.jsonl`, `queries.jsonl`, `qrels.tsv`), each document by its best chunk; it is left out without a
directory.
"""

import argparse
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from adapters.embeddings.minilm import DIMENSIONS, MODEL, MiniLM
from adapters.postgres.knowledge.chunks import PgvectorStore
from adapters.postgres.knowledge.staging import PostgresStagedChunks
from adapters.postgres.ledger.pool import Database
from adapters.postgres.migrate import migrate
from domain.knowledge.aggregate import owner
from domain.knowledge.chunking import Block, Chunk, embedded_text, split
from domain.knowledge.filters import parse_filters
from domain.knowledge.fusion import Ranked, fuse
from domain.knowledge.index import DocumentEntry, Scope
from domain.knowledge.ports import Generation, Vector
from runtime.embedded import Ports, PostgresServer, run_server

POOL = 200
CHUNKS_OF_DOCUMENT = 50
SELECTIVITIES: Mapping[str, dict[str, Any]] = {
    "100 %": {},
    "50 %": {"half": True},
    "10 %": {"tenth": True},
    "1 %": {"percent": True},
    "0.1 %": {"permille": True},
}
CONSOLE = Console(width=140)
_DICE = random.Random(7)  # noqa: S311  (nothing secret)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--chunks", type=int, default=100_000)
    options.add_argument("--queries", type=int, default=200)
    options.add_argument("--cranfield", type=Path)
    options.add_argument("--only", choices=["latency", "ingest", "relevance"])
    given = options.parse_args()
    with _database() as database:
        if given.only in (None, "ingest"):
            measure_ingest(database)
        if given.only in (None, "latency"):
            measure_latency(database, given.chunks, given.queries)
        if given.only in (None, "relevance") and given.cranfield is not None:
            measure_relevance(database, given.cranfield)


@contextmanager
def _database() -> Iterator[Database]:
    with tempfile.TemporaryDirectory() as directory:
        server = PostgresServer(Path(directory) / "postgres", Ports().pick())
        with run_server(server, Path(directory) / "postgres.log"):
            dsn = server.environment["DATABASE_URL"]
            migrate(dsn)
            database = Database(dsn)
            database.open()
            yield database
            database.close()


class Writer:
    """Puts documents into the index as the activities do, apart from the ledger."""

    def __init__(self, database: Database, tenant_id: str) -> None:
        self.store = PgvectorStore(database)
        self._staged = PostgresStagedChunks(database)
        self._tenant_id = tenant_id

    def put(
        self, document_id: str, title: str, chunks: list[Chunk], vectors: Sequence[Vector], metadata: dict[str, Any]
    ) -> None:
        generation = Generation(owner(self._tenant_id, document_id), 1)
        self._staged.stage(generation, chunks, None, MODEL)
        self.store.add(generation, title, chunks, vectors)
        entry = DocumentEntry(
            generation=generation,
            tenant_id=self._tenant_id,
            document_id=document_id,
            collection="default",
            title=title,
            metadata=metadata,
            dated=date(2026, 1, 1),
            model=MODEL,
            dimensions=DIMENSIONS,
            chunks=len(chunks),
            words=sum(chunk.words for chunk in chunks),
        )
        self.store.activate(entry, lambda: True)
        self._staged.remove(generation.owner)


def measure_ingest(database: Database) -> None:
    """Print the rate of embedding alone, and of embedding and storing, in the same run."""
    model, writer = MiniLM(), Writer(database, "ingest")
    model.compute(["warm"])
    batches = [[Chunk(n, _text(150), "", None) for n in range(64)] for _ in range(8)]
    began = time.perf_counter()
    for chunks in batches:
        model.compute([chunk.text for chunk in chunks])
    bare = 64 * len(batches) / (time.perf_counter() - began)
    began = time.perf_counter()
    for number, chunks in enumerate(batches):
        vectors = model.compute([chunk.text for chunk in chunks]).vectors
        writer.put(f"d{number}", "Title", chunks, vectors, {})
    whole = 64 * len(batches) / (time.perf_counter() - began)
    table = Table("", "chunks/s", title="Indexing (1 process)")
    table.add_row("bare embedding", f"{bare:.1f}")
    table.add_row("embedded and stored", f"{whole:.1f} ({whole / bare:.2f})")
    CONSOLE.print(table)


def measure_latency(database: Database, count: int, queries: int) -> None:
    """Print latency and recall by selectivity."""
    writer, centres = Writer(database, "latency"), _centres()
    began = time.perf_counter()
    documents = count // CHUNKS_OF_DOCUMENT
    for number in range(documents):
        chunks = [Chunk(n, _text(120), "", None) for n in range(CHUNKS_OF_DOCUMENT)]
        vectors = [_near(centres) for _ in chunks]
        every = {"half": 2, "tenth": 10, "percent": 100, "permille": 1000}
        writer.put(
            f"d{number:06}", "Title", chunks, vectors, {name: number % each == 0 for name, each in every.items()}
        )
    with database.connection() as connection:
        connection.execute("VACUUM ANALYZE knowledge_chunks, knowledge_documents")
    CONSOLE.print(f"{count} chunks stored in {time.perf_counter() - began:.0f} s")
    exact = PgvectorStore(database, exact=10**9)
    table = Table("selected", "recall@10", "vector p50/p95 ms", "keyword p50/p95 ms", "hybrid p50/p95 ms")
    asked = [(_near(centres), _text(6)) for _ in range(queries)]
    for name, filters in SELECTIVITIES.items():
        scope = Scope("latency", conditions=parse_filters(filters))
        recall = statistics.mean(
            _overlap(writer.store.nearest(scope, MODEL, v, POOL)[:10], exact.nearest(scope, MODEL, v, 10))
            for v, _ in asked[:50]
        )
        near = _times(asked, lambda v, _, scope=scope: writer.store.nearest(scope, MODEL, v, POOL))
        words = _times(asked, lambda _, q, scope=scope: writer.store.match_words(scope, q, POOL))
        both = [one + other for one, other in zip(near, words, strict=True)]
        table.add_row(name, f"{recall:.3f}", _spread(near), _spread(words), _spread(both))
    CONSOLE.print(table)


def measure_relevance(database: Database, directory: Path) -> None:
    """Print nDCG@10 of each mode on the Cranfield collection."""
    model, writer = MiniLM(), Writer(database, "cranfield")
    for line in (directory / "documents.jsonl").read_text().splitlines():
        document = json.loads(line)
        text = document["text"].removeprefix(document["title"]).strip() or document["title"]
        chunks = list(split([Block(text)]))
        if chunks:
            vectors = model.compute([embedded_text(document["title"], "", chunk.text) for chunk in chunks]).vectors
            writer.put(str(document["id"]), document["title"], chunks, vectors, {})
    judged: dict[int, dict[str, int]] = {}
    for line in (directory / "qrels.tsv").read_text().splitlines()[1:]:
        query, document_id, gain = line.split("\t")
        judged.setdefault(int(query), {})[document_id] = int(gain)
    scores: dict[str, list[float]] = {}
    for line in (directory / "queries.jsonl").read_text().splitlines():
        query = json.loads(line)
        if gains := judged.get(query["id"]):
            for name, ranking in _rankings(writer, model, query["text"]).items():
                scores.setdefault(name, []).append(_ndcg(ranking, gains))
    table = Table("mode", "nDCG@10", title=f"Cranfield, {len(next(iter(scores.values())))} queries")
    for name, each in scores.items():
        table.add_row(name, f"{statistics.mean(each):.4f}")
    CONSOLE.print(table)


def _rankings(writer: Writer, model: MiniLM, text: str) -> dict[str, list[Ranked]]:
    scope = Scope("cranfield")
    near = writer.store.nearest(scope, MODEL, model.compute([text]).vectors[0], POOL)
    words = writer.store.match_words(scope, text, POOL)
    return {
        "vector": near,
        "keyword (BM25)": words,
        "hybrid, rrf": fuse(near, words, "rrf", 0.5),
        "hybrid, relative_score": fuse(near, words, "relative_score", 0.5),
    }


def _ndcg(ranking: Sequence[Ranked], gains: Mapping[str, int]) -> float:
    """The discounted gain of the first ten documents, as a share of the best possible one."""
    documents = list(dict.fromkeys(each.owner.rpartition("~")[2] for each in ranking))[:10]
    found = sum(gains.get(document, 0) / math.log2(rank + 1) for rank, document in enumerate(documents, 1))
    best = sorted(gains.values(), reverse=True)[:10]
    return found / sum(gain / math.log2(rank + 1) for rank, gain in enumerate(best, 1))


def _times(asked: Sequence[tuple[Vector, str]], search: Callable[[Vector, str], object]) -> list[float]:
    taken = []
    for vector, query in asked:
        began = time.perf_counter()
        search(vector, query)
        taken.append(1000 * (time.perf_counter() - began))
    return taken


def _spread(taken: Sequence[float]) -> str:
    ordered = sorted(taken)
    return f"{statistics.median(ordered):.1f} / {ordered[int(0.95 * len(ordered))]:.1f}"


def _overlap(found: Sequence[Ranked], all_: Sequence[Ranked]) -> float:
    wanted = {each.key for each in all_}
    return len(wanted & {each.key for each in found}) / len(wanted) if wanted else 1.0


def _centres() -> Any:
    """Directions of topics: real embeddings are in clusters, too."""
    return np.random.default_rng(7).normal(size=(200, DIMENSIONS))


def _near(centres: Any) -> Vector:
    generator = np.random.default_rng(_DICE.getrandbits(63))
    vector = centres[_DICE.randrange(len(centres))] + 0.8 * generator.normal(size=DIMENSIONS)
    unit: list[float] = (vector / np.linalg.norm(vector)).tolist()
    return unit


def _text(words: int) -> str:
    """Words whose frequency falls with their number, as in a language."""
    return " ".join(f"word{int(_DICE.paretovariate(0.5)) % 50_000}" for _ in range(words))


if __name__ == "__main__":
    main()
