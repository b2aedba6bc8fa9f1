"""What every store of chunks does, on pgvector."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from adapters.postgres.knowledge.chunks import PgvectorStore
from adapters.postgres.knowledge.staging import PostgresStagedChunks
from adapters.postgres.ledger.pool import Database
from domain.errors import Invalid
from domain.knowledge.aggregate import owner
from domain.knowledge.chunking import Chunk
from domain.knowledge.ports import Embeddings, Generation
from tests.knowledge.stores import DIMENSIONS, MODEL, Shelf, direction, named, numbered, scope


@pytest.fixture(scope="module")
def database(module_database_url: str) -> Iterator[Database]:
    opened = Database(module_database_url)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def shelf(database: Database) -> Shelf:
    """A store with nothing in it."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE knowledge_documents, knowledge_chunks, knowledge_indexing, knowledge_staged_chunks, erased_owners"
        )
    return Shelf(PgvectorStore(database), PostgresStagedChunks(database))


def test_the_nearest_chunks_come_first_with_their_similarity(shelf: Shelf) -> None:
    for document_id, text in numbered(20):
        shelf.put(document_id, text)
    [first, *_] = shelf.store.nearest(scope(), MODEL, direction("text 7"), 5)
    assert named(first.owner) == "d00007"
    assert first.score == pytest.approx(1.0, abs=1e-3)


def test_nobody_finds_a_generation_before_it_is_activated_and_then_only_that_one(shelf: Shelf) -> None:
    shelf.put("handbook", "the old text about moons")
    shelf.stage("handbook", ["the new text about suns"], generation=2)
    assert shelf.matching("moons") == ["handbook"]
    assert shelf.matching("suns") == []
    shelf.put("handbook", "the new text about suns", generation=2)
    assert shelf.matching("moons") == []
    assert shelf.matching("suns") == ["handbook"]
    assert shelf.nearest("the new text about suns") == ["handbook"]


def test_a_generation_that_is_not_wanted_any_more_is_not_activated(shelf: Shelf) -> None:
    shelf.put("handbook", "new", generation=2)
    shelf.put("handbook", "old", generation=1)
    assert shelf.matching("new") == ["handbook"]
    assert shelf.matching("old") == []


def test_chunks_are_stored_once_however_often_they_are_added(shelf: Shelf) -> None:
    for _ in range(3):
        shelf.put("handbook", "one", "two")
    assert shelf.store.count(scope()) == (1, 2)
    assert Counter(shelf.nearest("one")) == {"handbook": 2}


def test_a_removed_document_is_gone_and_a_late_batch_does_not_bring_it_back(shelf: Shelf) -> None:
    shelf.put("handbook", "moons")
    made = Generation(owner("default", "handbook"), 2)
    chunk = Chunk(0, "late moons", "", None)
    shelf.staged.stage(made, [chunk], None, MODEL)
    shelf.staged.remove(made.owner)
    shelf.store.remove(made.owner)
    shelf.store.add(made, "Title", [chunk], [direction("late")])
    assert shelf.matching("moons") == []
    assert shelf.store.count(scope()) == (0, 0)
    with psycopg.connect(shelf.staged._database.dsn) as connection:  # noqa: SLF001
        assert connection.execute("SELECT count(*) FROM knowledge_chunks").fetchone() == (0,)


def test_an_erased_owner_gets_neither_documents_nor_chunks(shelf: Shelf) -> None:
    dsn = shelf.staged._database.dsn  # noqa: SLF001
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO erased_owners (owner, erasure_id, kind) VALUES ('document_gone', 'e', 'record')"
        )
    made = shelf.stage("gone", ["moons"])
    assert shelf.staged.state(made) is None
    assert shelf.staged.next_batch(made, 10) == []
    assert shelf.matching("moons") == []


def test_another_tenants_documents_are_never_found(shelf: Shelf) -> None:
    shelf.put("handbook", "moons", tenant_id="acme")
    shelf.put("handbook", "moons", tenant_id="zeta")
    for tenant_id, other in (("acme", "zeta"), ("zeta", "acme"), ("default", "")):
        found = shelf.store.match_words(scope(tenant_id), "moons", 10)
        near = shelf.store.nearest(scope(tenant_id), MODEL, direction("moons"), 10)
        assert len(found) == len(near) == (0 if tenant_id == "default" else 1)
        assert all(other not in each.owner or not other for each in [*found, *near])


FILTERED: list[tuple[dict[str, Any], list[str]]] = [
    ({"category": "technology"}, ["a", "c"]),
    ({"category": ["law", "arts"]}, ["b"]),
    ({"tags": "x"}, ["a", "b"]),
    ({"tags": ["y", "z"]}, ["b", "c"]),
    ({"year": 2024}, ["a"]),
    ({"year": {"gte": 2025}}, ["b", "c"]),
    ({"year": {"gt": 2024, "lt": 2026}}, ["b"]),
    ({"code": {"gte": "B"}}, ["b"]),
    ({"category": "technology", "year": {"lte": 2025}}, ["a"]),
    ({"date_range": "2024-2025"}, ["a", "b"]),
    ({"date_range": {"from": "2025-07"}}, ["c"]),
    ({"draft": None}, ["a", "c"]),
    ({"draft": True}, ["b"]),
    ({"price": 1.5}, ["c"]),
    ({"nothing": "there"}, []),
    ({"'; DROP TABLE documents; --": "%s {documents}"}, []),
]


@pytest.mark.parametrize("exact", [10_000, 0], ids=["exact", "indexed"])
def test_filters_apply_before_the_ranking(shelf: Shelf, database: Database, exact: int) -> None:
    shelf.put(
        "a",
        "moons",
        metadata={"category": "technology", "tags": ["x"], "year": 2024, "code": "A"},
        dated=date(2024, 1, 1),
    )
    shelf.put(
        "b",
        "moons",
        metadata={"category": "law", "tags": ["x", "y"], "year": 2025, "code": "B", "draft": True},
        dated=date(2025, 6, 30),
    )
    shelf.put(
        "c",
        "moons",
        metadata={"category": "technology", "tags": "z", "year": 2026, "price": 1.5},
        dated=date(2026, 1, 1),
    )
    shelf.store = PgvectorStore(database, exact=exact)
    for filters, found in FILTERED:
        assert shelf.matching("moons", scope(filters=filters)) == found, filters
        assert sorted(shelf.nearest("moons", scope(filters=filters))) == found, filters


def test_collections_and_documents_narrow_a_search_and_users_own_are_not_searched_unasked(shelf: Shelf) -> None:
    shelf.put("a", "moons", collection="default")
    shelf.put("b", "moons", collection="project:7")
    shelf.put("c", "moons", collection="user:abc")
    assert shelf.matching("moons") == ["a", "b"]
    assert shelf.matching("moons", scope(collections=("project:7", "user:abc"))) == ["b", "c"]
    assert shelf.matching("moons", scope(document_ids=("a", "c"))) == ["a"]


@pytest.mark.parametrize("selected", [1, 2, 20, 200])
def test_a_filtered_search_returns_as_many_as_there_are(shelf: Shelf, database: Database, selected: int) -> None:
    """With pgvector's defaults the index looks at 40 neighbours and the filter leaves what it leaves of them."""
    for number, (document_id, text) in enumerate(numbered(400)):
        shelf.put(document_id, text, metadata={"rare": number < selected})
    shelf.store = PgvectorStore(database, exact=0)
    found = shelf.nearest("text 399", scope(filters={"rare": True}))
    assert len(found) == min(10, selected)
    shelf.store = PgvectorStore(database)
    assert shelf.nearest("text 399", scope(filters={"rare": True})) == found


def test_keywords_are_ranked_by_bm25(shelf: Shelf) -> None:
    texts = {
        "a": "moon moon moon of jupiter",
        "b": "the moon and a very long text about many other things that nobody asked for at all today",
        "c": "suns and planets",
        "d": "jupiter",
    }
    for document_id, text in texts.items():
        shelf.put(document_id, text)
    found = shelf.store.match_words(scope(), "moons of Jupiter", 10)
    assert [named(each.owner) for each in found] == ["a", "d", "b"]
    words = {name: len(text.split()) for name, text in texts.items()}
    mean, count = sum(words.values()) / 4, 4

    def term(times: int, documents: int, length: int) -> float:
        weight = math.log(1 + (count - documents + 0.5) / (documents + 0.5))
        return weight * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * length / mean))

    expected = term(3, 2, words["a"]) + term(1, 2, words["a"])
    assert found[0].score == pytest.approx(expected)


@pytest.mark.parametrize("times", [1, 2, 3, 10, 50])
def test_occurrences_of_a_word_are_counted_exactly(shelf: Shelf, times: int) -> None:
    shelf.put("a", "moon " * times)
    [found] = shelf.store.match_words(scope(), "moon", 1)
    weight = math.log(1 + 0.5 / 1.5)
    assert found.score == pytest.approx(weight * times * 2.2 / (times + 1.2))


@pytest.mark.parametrize("query", ["", "the of and", "' | & ! :* <->", "\\", "it's a 'moon\\'", "x" * 3_000, "🚀 𐍈"])
def test_no_query_breaks_the_search_for_words(shelf: Shelf, query: str) -> None:
    shelf.put("a", "it's the moon")
    assert shelf.store.match_words(scope(), query, 5) is not None
    [[key, passage]] = shelf.store.passages([(owner("default", "a"), 0)], query).items()
    assert key == (owner("default", "a"), 0)
    assert passage.text == "it's the moon"


def test_highlights_mark_words_and_nothing_of_a_document_is_markup(shelf: Shelf) -> None:
    shelf.put("a", "<script>alert('moon')</script> & the Moons of Jupiter")
    [passage] = shelf.store.passages([(owner("default", "a"), 0)], "moon").values()
    [highlight] = passage.highlights
    assert "<mark>Moons</mark>" in highlight
    assert "<script>" not in highlight
    assert passage.title == "Title"


def test_vectors_of_other_lengths_get_an_index_and_too_long_ones_are_refused(shelf: Shelf, database: Database) -> None:
    shelf.store.prepare(5)
    shelf.store.prepare(5)
    with psycopg.connect(database.dsn) as connection:
        found = connection.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE '%_embedding_5'").fetchall()
    assert len(found) == 1
    for dimensions in (0, 4_001, 100_000):
        with pytest.raises(Invalid):
            shelf.store.prepare(dimensions)


def test_documents_of_another_model_are_left_out_of_a_search_by_vector(shelf: Shelf) -> None:
    shelf.put("a", "moons")
    shelf.put("b", "moons", model="other")
    assert shelf.nearest("moons") == ["a"]
    assert list(shelf.store.models("default")) == [MODEL, "other"]


def test_indexing_goes_on_where_it_was(shelf: Shelf) -> None:
    made = Generation(owner("default", "handbook"), 1)
    chunks = [Chunk(number, f"text {number}", "", number) for number in range(5)]
    shelf.staged.stage(made, chunks, 5, MODEL)
    first = shelf.staged.next_batch(made, 2)
    assert [chunk.number for chunk in first] == [0, 1]
    embeddings = Embeddings([direction(0), direction(1)], MODEL, 12)
    for _ in range(2):
        shelf.staged.advance(made, [0, 1], embeddings, "hash")
    state = shelf.staged.state(made)
    assert state is not None
    assert (state.done, state.total, state.tokens, state.dimensions) == (2, 5, 12, DIMENSIONS)
    assert [chunk.number for chunk in shelf.staged.next_batch(made, 10)] == [2, 3, 4]
