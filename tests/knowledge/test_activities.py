"""The steps of `Ingest` in this process: each ends as if it had run once, whatever breaks in between."""

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.costs.bookkeeping import CostLedger
from activities.knowledge.activities import BATCH, IngestActivities
from activities.knowledge.document_reader import MOST_FETCHES, DocumentReader
from activities.knowledge.embedding_calls import EmbeddingCalls
from activities.knowledge.messages import DocumentRef, GenerationRef
from adapters.documents.reading import Unreadable, read_document
from adapters.genai_prices import GenaiPrices
from adapters.postgres.knowledge.chunks import PgvectorStore
from adapters.postgres.knowledge.staging import PostgresStagedChunks
from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.chat.model_port import ModelFailure
from domain.content import Content
from domain.costs.events import CallFailed, CallReserved, CallSettled
from domain.errors import Unavailable
from domain.events import Cause
from domain.knowledge.aggregate import Submission, owner
from domain.knowledge.commands import DocumentCommands
from domain.knowledge.events import Kind
from domain.knowledge.ports import Embedder, Embeddings, Extracted, ExtractionFailed, FetchedPage, Generation
from domain.ledger import Ledger
from domain.registry import event_registry
from tests.knowledge.stores import MODEL, direction, scope

OWNER = owner("default", "handbook")
REF = GenerationRef(OWNER, 1)
CAUSE = Cause("key_1", "req_1", datetime(2026, 11, 28, tzinfo=UTC), "default")
CHUNKS = 2 * BATCH + 5


class Breakdown(Exception):  # noqa: N818  (stands for the death of a worker)
    """The worker dies here."""


class Embedding:
    """An embedding model that counts its calls, and fails as it is told."""

    model = default = MODEL

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.failures: list[Exception] = []

    def of(self, model: str) -> Embedder:
        return self

    async def embed(self, texts: Sequence[str], *, request_id: str) -> Embeddings:
        if self.failures:
            raise self.failures.pop(0)
        self.calls.append(len(texts))
        return Embeddings([direction(text) for text in texts], MODEL, 10 * len(texts))


class Web:
    """Serves one page."""

    async def fetch(self, url: str) -> FetchedPage:
        if "away" in url:
            raise Unavailable("the URL could not be fetched")
        return FetchedPage(f"# Page\n\nFrom {url}".encode(), "text/markdown")


class Reading:
    """Reads in this process."""

    def extract(self, kind: Kind, content: bytes) -> Extracted:
        try:
            return read_document(kind, content)
        except Unreadable as fault:
            raise ExtractionFailed(fault.code, fault.message) from None


def _now() -> datetime:
    return datetime.now(UTC)


class Stage:
    """The activities on a database of their own."""

    def __init__(self, database: Database) -> None:
        self.ledger = Ledger(LedgerRecorder(database, lambda _: None), event_registry())
        self.content = PostgresContent(database)
        self.commands = DocumentCommands(self.ledger)
        self.staged, self.store = PostgresStagedChunks(database), PgvectorStore(database)
        self.model = Embedding()
        calls = EmbeddingCalls(CostLedger(self.ledger, GenaiPrices(), _now), self.model, self.content, _now)
        reader = DocumentReader(self.commands, self.content, Reading(), Web(), _now)
        self.activities = IngestActivities(
            self.commands, self.content, self.staged, self.store, calls, reader=reader, now=_now
        )
        self.database = database

    def submit(self, text: str, number: int = 1) -> None:
        texts = [Content(OWNER, each) for each in ("Title", "{}", text)]
        title, metadata, content = (each.hash for each in texts)
        is_url = text.startswith("http")
        submission = Submission(
            "default",
            "url" if is_url else "text",
            "markdown",
            title,
            metadata,
            None if is_url else content,
            content if is_url else None,
            len(text),
            f"s{number}",
        )
        self.commands.submit("handbook", submission, texts, CAUSE)

    def run(self, activity: Any, *given: Any) -> Any:
        return asyncio.run(ActivityEnvironment().run(activity, *given))

    def events(self, *kinds: type) -> list[Any]:
        return [each.event for each in self.ledger.after(0, 10_000) if isinstance(each.event, kinds)]

    def texts(self) -> int:
        with self.database.connection() as connection:
            row = connection.execute("SELECT count(*) FROM content WHERE owner = %s", (OWNER,)).fetchone()
        return int(row[0]) if row else 0


@pytest.fixture
def stage(database_url: str) -> Iterator[Stage]:
    database = Database(database_url)
    database.open()
    yield Stage(database)
    database.close()


def long_text() -> str:
    return "\n\n".join(f"# Part {n}\n\nText {n}." for n in range(CHUNKS))


def test_a_document_is_read_embedded_and_activated(stage: Stage) -> None:
    stage.submit(long_text())
    plan = stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    assert (plan.generation, plan.total) == (1, CHUNKS)
    assert stage.run(stage.activities.embed_chunks, REF).is_complete
    assert stage.run(stage.activities.activate_document, REF)
    assert stage.store.count(scope()) == (1, CHUNKS)
    assert stage.model.calls == [BATCH, BATCH, 5]
    settled = stage.events(CallSettled)
    assert sum(each.prompt_tokens for each in settled) == 10 * CHUNKS
    document = stage.commands.load("default", "handbook")
    assert document.indexed is not None
    assert (document.indexed.tokens, document.indexed.chunks) == (10 * CHUNKS, CHUNKS)
    assert stage.texts() == 3, "the vectors that were kept for a repeat are gone"


@pytest.mark.parametrize("dies_at", ["add", "advance"])
def test_a_worker_that_dies_after_paying_does_not_pay_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    stage.submit(long_text())
    stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    where = stage.store if dies_at == "add" else stage.staged

    def die(*_: object) -> None:
        raise Breakdown

    with monkeypatch.context() as broken:
        broken.setattr(where, dies_at, die)
        with pytest.raises(Breakdown):
            stage.run(stage.activities.embed_chunks, REF)
    assert stage.run(stage.activities.embed_chunks, REF).is_complete
    assert stage.model.calls == [BATCH, BATCH, 5]
    assert stage.run(stage.activities.activate_document, REF)
    assert stage.store.count(scope()) == (1, CHUNKS)
    assert len(stage.events(CallReserved)) == len(stage.events(CallSettled)) == 3


def test_a_worker_that_dies_between_activation_and_record_records_it_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.submit("Text.")
    stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    stage.run(stage.activities.embed_chunks, REF)

    def die(*_: object) -> None:
        raise Breakdown

    with monkeypatch.context() as broken:
        broken.setattr(stage.commands, "index", die)
        with pytest.raises(Breakdown):
            stage.run(stage.activities.activate_document, REF)
    assert stage.run(stage.activities.activate_document, REF)
    assert not stage.commands.load("default", "handbook").is_pending


def test_a_failed_call_is_booked_and_tried_again(stage: Stage) -> None:
    stage.submit("Text.")
    stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    stage.model.failures = [ModelFailure("unavailable", "away", charge="none", permanent=False)]
    with pytest.raises(ApplicationError) as failed:
        stage.run(stage.activities.embed_chunks, REF)
    assert not failed.value.non_retryable
    assert len(stage.events(CallFailed)) == 1
    assert stage.run(stage.activities.embed_chunks, REF).is_complete
    assert [each.attempt for each in stage.events(CallSettled)] == [2]


def test_a_newer_generation_ends_the_work_on_an_older_one(stage: Stage) -> None:
    stage.submit("Old text.")
    stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    stage.submit("New text.", 2)
    assert not stage.run(stage.activities.embed_chunks, REF).is_wanted
    assert not stage.run(stage.activities.activate_document, REF)
    plan = stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    newest = GenerationRef(OWNER, plan.generation)
    assert stage.run(stage.activities.embed_chunks, newest).is_complete
    assert stage.run(stage.activities.activate_document, newest)
    assert [each.owner for each in stage.store.match_words(scope(), "new", 5)] == [OWNER]
    assert stage.store.match_words(scope(), "old", 5) == []
    assert stage.staged.state(Generation(OWNER, 1)) is None


def test_a_document_that_is_deleted_meanwhile_leaves_nothing(stage: Stage) -> None:
    stage.submit("Text.")
    stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    stage.run(stage.activities.embed_chunks, REF)
    stage.commands.delete("handbook", CAUSE)
    assert not stage.run(stage.activities.activate_document, REF)
    assert stage.run(stage.activities.prepare_document, DocumentRef(OWNER)).generation == 0
    with stage.database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM knowledge_chunks").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM knowledge_indexing").fetchone() == (0,)


def test_a_url_is_fetched_once(stage: Stage) -> None:
    stage.submit("https://example.org/page")
    for _ in range(2):
        assert stage.run(stage.activities.prepare_document, DocumentRef(OWNER)).total == 1
    document = stage.commands.load("default", "handbook")
    assert (document.kind, document.content_hash is not None) == ("markdown", True)


def test_a_url_that_cannot_be_reached_is_tried_some_times_and_then_fails(stage: Stage) -> None:
    stage.submit("https://example.org/away")
    with pytest.raises(Unavailable):
        stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=MOST_FETCHES)
    assert asyncio.run(environment.run(stage.activities.prepare_document, DocumentRef(OWNER))).failed
    failed = stage.commands.load("default", "handbook").failed
    assert failed is not None
    assert failed.code == "NOT_FETCHED"


def test_a_document_without_text_fails_with_a_reason(stage: Stage) -> None:
    stage.submit("   ")
    plan = stage.run(stage.activities.prepare_document, DocumentRef(OWNER))
    assert (plan.failed, plan.generation) == (True, 0)
    failed = stage.commands.load("default", "handbook").failed
    assert failed is not None
    assert failed.code == "EMPTY"


def test_erased_texts_fail_the_document_and_store_nothing(stage: Stage) -> None:
    stage.submit("Text.")
    stage.content.erase(OWNER)
    assert stage.run(stage.activities.prepare_document, DocumentRef(OWNER)).failed
    failed = stage.commands.load("default", "handbook").failed
    assert failed is not None
    assert failed.code == "ERASED"
