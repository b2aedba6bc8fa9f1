"""Documents, chunks, filters and rankings as pure functions."""

from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Conflict, Invalid, NotFound, TooLarge
from domain.events import Cause, Event, RecordedEvent
from domain.knowledge import aggregate, policy
from domain.knowledge.aggregate import Document, IndexResult, Submission
from domain.knowledge.chunking import MAX_CHUNK, OVERLAP, Block, split
from domain.knowledge.events import DocumentDeleted, DocumentFailed, DocumentFetched, DocumentIndexed, DocumentSubmitted
from domain.knowledge.filters import AnyOf, DateRange, Range, parse_filters
from domain.knowledge.fusion import Ranked, fuse, merge
from domain.knowledge.kinds import kind_of
from domain.knowledge.projection import DocumentRow, KnowledgeProjection

CAUSE = Cause("key_1", "req_1", datetime(2026, 11, 28, tzinfo=UTC), "acme")
TEXT = Submission("default", "text", "markdown", "t", "m", "c", None, 7, "s1")
URL = Submission("default", "url", "text", "t", "m", None, "u", 0, "s2")
RESULT = IndexResult(3, 40, None, 50, "mini", 384)


def after(*decisions: Any) -> Document:
    document = Document()
    for decide in decisions:
        for event in decide(document):
            document = aggregate.evolve(document, event)
    return document


def submitted(submission: Submission = TEXT) -> Any:
    return lambda document: aggregate.submit(document, "handbook", submission, CAUSE)


def indexed(generation: int) -> Any:
    return lambda document: aggregate.index(document, generation, RESULT, CAUSE)


def test_each_submission_is_a_generation_that_waits_to_be_indexed() -> None:
    document = after(submitted(), submitted())
    assert (document.generation, document.is_pending) == (2, True)
    assert not after(submitted(), indexed(1)).is_pending


def test_only_the_newest_generation_is_indexed_and_only_once() -> None:
    document = after(submitted(), submitted())
    assert aggregate.index(document, 1, RESULT, CAUSE) == []
    document = after(submitted(), submitted(), indexed(2))
    assert aggregate.index(document, 2, RESULT, CAUSE) == []
    assert aggregate.fail(document, 2, "BROKEN", "it is", CAUSE) == []


def test_a_failed_generation_leaves_the_indexed_one() -> None:
    document = after(submitted(), indexed(1), submitted(), lambda d: aggregate.fail(d, 2, "BROKEN", "it is", CAUSE))
    assert not document.is_pending
    assert document.indexed is not None
    assert document.indexed.generation == 1


def test_the_content_of_a_url_is_that_which_was_fetched() -> None:
    def fetched(document: Document) -> list[Event]:
        return aggregate.fetch(document, 1, CAUSE, kind="pdf", content_hash="f", size=9)

    document = after(submitted(URL), fetched)
    assert (document.content_hash, document.kind) == ("f", "pdf")
    assert aggregate.fetch(document, 1, CAUSE, kind="html", content_hash="g", size=9) == []
    assert after(submitted(URL), fetched, submitted(TEXT)).content_hash == "c"


def test_a_deleted_document_is_not_there_and_its_next_submission_counts_on() -> None:
    document = after(submitted(), lambda d: aggregate.delete(d, CAUSE))
    with pytest.raises(NotFound):
        aggregate.delete(document, CAUSE)
    assert not document.is_pending
    assert after(submitted(), lambda d: aggregate.delete(d, CAUSE), submitted()).generation == 2


def test_an_indexed_document_is_indexed_again_from_what_is_stored_of_it() -> None:
    [again] = aggregate.reindex(after(submitted(), indexed(1)), "run", CAUSE)
    assert isinstance(again, DocumentSubmitted)
    assert (again.generation, again.content_hash, again.submission_id) == (2, "c", "run")
    assert aggregate.reindex(after(submitted()), "run", CAUSE) == []
    without = Submission("default", "text", "markdown", "t", "m", None, None, 7, "s1")
    with pytest.raises(Conflict):
        aggregate.reindex(after(submitted(without), indexed(1)), "run", CAUSE)


@pytest.mark.parametrize("tenant_id", ["default", "acme"])
@pytest.mark.parametrize("document_id", ["handbook", "document_0f", "a:b.c_d-e"])
def test_the_owner_of_texts_names_the_document(tenant_id: str, document_id: str) -> None:
    assert aggregate.document_of(aggregate.owner(tenant_id, document_id)) == (tenant_id, document_id)


class Table:
    """Rows of one fold."""

    def __init__(self) -> None:
        self.rows: dict[tuple[object, ...], Any] = {}

    def get(self, kind: Any, *key: object) -> Any:
        return self.rows.get(key)

    def several(self, kind: Any, keys: Any) -> list[Any]:
        return [self.rows[key] for key in keys if key in self.rows]

    def put(self, row: Any) -> None:
        self.rows[row.tenant_id, row.document_id] = row

    def drop(self, kind: Any, *key: object) -> None:
        self.rows.pop(key, None)


def test_the_view_shows_the_newest_generation_and_the_one_that_can_be_found() -> None:
    of = CAUSE.fields()
    first = aggregate.submit(Document(), "handbook", TEXT, CAUSE)[0]
    done = DocumentIndexed(document_id="handbook", generation=1, **_result(), **of)
    second = first.model_copy(update={"generation": 2})
    failed = DocumentFailed(document_id="handbook", generation=2, code="BROKEN", reason="it is", **of)
    rows, projection = Table(), KnowledgeProjection()
    for version, event in enumerate((first, done, second, failed), 1):
        projection.project(RecordedEvent(version, "document~acme:handbook", version, event), rows)
    row: DocumentRow = rows.get(DocumentRow, "acme", "handbook")
    assert (row.status, row.generation, row.indexed_generation, row.chunks) == ("failed", 2, 1, 3)
    assert (row.code, row.reason) == ("BROKEN", "it is")
    fetched = DocumentFetched(document_id="handbook", generation=2, kind="pdf", content_hash="f", size=9, **of)
    projection.project(RecordedEvent(5, "document~acme:handbook", 5, fetched), rows)
    assert rows.get(DocumentRow, "acme", "handbook").kind == "pdf"
    gone = DocumentDeleted(document_id="handbook", generation=2, **of)
    projection.project(RecordedEvent(6, "document~acme:handbook", 6, gone), rows)
    assert rows.rows == {}


def _result() -> dict[str, Any]:
    return {name: getattr(RESULT, name) for name in RESULT.__dataclass_fields__}


def test_a_chunk_has_the_path_of_its_headings_and_its_page() -> None:
    blocks = [
        Block("Guide", 1),
        Block("Install", 2),
        Block("Run it.", page=3),
        Block("Use", 2),
        Block("Call it.", page=4),
    ]
    found = [(chunk.heading, chunk.text, chunk.page) for chunk in split(blocks)]
    assert found == [("Guide > Install", "Run it.", 3), ("Guide > Use", "Call it.", 4)]


def test_a_long_section_is_split_between_sentences_with_an_overlap() -> None:
    text = " ".join(f"This is sentence number {n} of a long text." for n in range(100))
    chunks = list(split([Block(text)]))
    assert len(chunks) > 4
    assert all(len(chunk.text) <= MAX_CHUNK for chunk in chunks)
    for before, chunk in pairwise(chunks):
        first = chunk.text.split("\n")[0]
        assert before.text.endswith(first) or first in before.text[-2 * OVERLAP :]


@given(st.lists(st.tuples(st.text(max_size=3_000), st.integers(0, 3)), max_size=20))
def test_no_word_is_lost_and_no_chunk_is_too_long(parts: list[tuple[str, int]]) -> None:
    chunks = list(split(Block(text, level) for text, level in parts))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert all(0 < len(chunk.text) <= MAX_CHUNK for chunk in chunks)
    kept = "".join(chunk.text for chunk in chunks)
    for text, level in parts:
        if level == 0:
            assert set("".join(text.split())) <= set("".join(kept.split()))


@pytest.mark.parametrize(
    ("filters", "condition"),
    [
        ({"category": "technology"}, AnyOf("category", ("technology",))),
        ({"year": [2024, 2025]}, AnyOf("year", (2024, 2025))),
        ({"year": {"gte": 2024, "lt": 2026}}, Range("year", (("gte", 2024), ("lt", 2026)))),
        ({"date_range": "2024-2025"}, DateRange(date(2024, 1, 1), date(2025, 12, 31))),
        ({"date_range": "2024-02"}, DateRange(date(2024, 2, 1), date(2024, 2, 29))),
        ({"date_range": {"from": "2024-06", "to": "2024-06-15"}}, DateRange(date(2024, 6, 1), date(2024, 6, 15))),
        ({"date_range": {"to": "9999"}}, DateRange(None, date(9999, 12, 31))),
        ({"date_range": "9999-12"}, DateRange(date(9999, 12, 1), date(9999, 12, 31))),
    ],
)
def test_filters_are_conditions(filters: dict[str, Any], condition: Any) -> None:
    assert parse_filters(filters) == (condition,)


@pytest.mark.parametrize(
    "filters",
    [
        {"a": {}},
        {"a": {"like": "x"}},
        {"a": {"gt": True}},
        {"a": {"gt": 1, "lt": "z"}},
        {"a": [[1]]},
        {"a": []},
        {"a": "x" * 1_001},
        {"": 1},
        {"date_range": "soon"},
        {"date_range": {}},
        {"date_range": {"from": 2024}},
        {"date_range": {"from": "2025", "to": "2024"}},
        {"date_range": "0000-0001"},
        {f"a{n}": 1 for n in range(21)},
    ],
)
def test_other_filters_are_refused_by_name(filters: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        parse_filters(filters)
    assert refused.value.details["field"].startswith("filters")


def test_a_chunk_that_both_rankings_have_comes_first() -> None:
    near = [Ranked("a", 0, 0.9), Ranked("b", 0, 0.8), Ranked("c", 0, 0.7)]
    words = [Ranked("d", 0, 9.0), Ranked("b", 0, 8.0)]
    for fusion in ("rrf", "relative_score"):
        found = fuse(near, words, fusion, 0.5)  # type: ignore[arg-type]
        assert {each.key for each in found} == {("a", 0), ("b", 0), ("c", 0), ("d", 0)}
    assert fuse(near, words, "rrf", 0.5)[0].key == ("b", 0)
    assert [each.owner for each in fuse(near, words, "rrf", 1.0)][:3] == ["a", "b", "c"]
    assert fuse(near, words, "relative_score", 0.0)[0].key == ("d", 0)


def test_equal_scores_have_one_order() -> None:
    tied = [Ranked("b", 1, 1.0), Ranked("b", 0, 1.0), Ranked("a", 7, 1.0)]
    assert [each.key for each in merge([tied[:1], tied[1:]], 3)] == [("a", 7), ("b", 0), ("b", 1)]


@pytest.mark.parametrize(
    ("metadata", "day"),
    [
        ({"date": "2024-05-01"}, date(2024, 5, 1)),
        ({"date": "2024"}, date(2024, 1, 1)),
        ({"date": "2024-05-01T23:00:00Z"}, date(2024, 5, 1)),
        ({"date": 2024}, date(2026, 11, 28)),
        ({"date": "someday"}, date(2026, 11, 28)),
        ({}, date(2026, 11, 28)),
    ],
)
def test_the_date_of_a_document_is_its_own_or_that_of_its_submission(metadata: dict[str, Any], day: date) -> None:
    assert policy.date_of(metadata, CAUSE.at) == day


def test_collections_of_users_and_metadata_without_end_are_refused() -> None:
    assert policy.collection_of(None) == "default"
    with pytest.raises(Invalid):
        policy.collection_of("user:mine")
    with pytest.raises(TooLarge):
        policy.encode_metadata({"a": "x" * policy.MAX_METADATA})
    for odd in ({"a": ["\x00"]}, {"\x00": 1}, {"a": 2**80}, {"a": float("nan")}):
        with pytest.raises(Invalid):
            policy.encode_metadata(odd)


@pytest.mark.parametrize(
    ("media_type", "name", "content", "kind"),
    [
        ("application/pdf", "a.bin", b"x", "pdf"),
        ("application/octet-stream", "a.DOCX", b"PK", "docx"),
        ("text/plain", "notes.md", b"# a", "markdown"),
        ("text/html; charset=utf-8", "", b"<p>", "html"),
        ("text/x-python", "a", b"x", "text"),
        ("application/octet-stream", "scan", b"%PDF-1.7", "pdf"),
        ("image/png", "a.png", b"\x89PNG", None),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_type_its_name_or_its_bytes(
    media_type: str, name: str, content: bytes, kind: str | None
) -> None:
    assert kind_of(media_type, name, content) == kind
