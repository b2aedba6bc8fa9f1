"""The activities of the workflow `Ingest`. All are idempotent: after a crash another worker begins the step again."""

from asyncio import to_thread
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import islice

import orjson
import structlog
from temporalio import activity

from activities.costs.model_errors import model_failure_error
from activities.heartbeat import send_heartbeats
from activities.knowledge.document_reader import DocumentReader, cause_of
from activities.knowledge.embedding_calls import EmbeddingCall, EmbeddingCalls
from activities.knowledge.messages import DocumentRef, EmbedProgress, GenerationRef, IngestFailure, IngestPlan
from domain.chat.model_port import ModelFailure
from domain.content import ContentStore
from domain.errors import Unavailable
from domain.events import Cause
from domain.ids import derived_id
from domain.knowledge import policy
from domain.knowledge.aggregate import Document, IndexResult, document_of
from domain.knowledge.chunking import Chunk, embedded_text, split
from domain.knowledge.commands import DocumentCommands
from domain.knowledge.index import DocumentEntry, VectorStore
from domain.knowledge.ports import ExtractionFailed, Generation, StagedChunks

BATCH = 64
"""Chunks of one embedding call."""
BATCHES_AT_ONCE = 32
"""Batches of one activity: more would be lost to nobody, but a history shows progress by activities."""
MAX_CHUNKS = 50_000
AGENT = "platform"
"""Stands for an agent in the calls that embed documents."""


class IngestActivities:
    """Reads a document, embeds its chunks, and lets it be found."""

    def __init__(
        self,
        commands: DocumentCommands,
        content: ContentStore,
        staged: StagedChunks,
        store: VectorStore,
        calls: EmbeddingCalls,
        *,
        reader: DocumentReader,
        now: Callable[[], datetime],
    ) -> None:
        self._commands = commands
        self._content = content
        self._staged = staged
        self._store = store
        self._calls = calls
        self._reader = reader
        self._now = now
        self._log = structlog.get_logger("knowledge")

    def all(self) -> list[Callable[..., object]]:
        return [self.prepare_document, self.embed_chunks, self.activate_document, self.fail_document]

    @activity.defn(name="prepare_document")
    async def prepare_document(self, ref: DocumentRef) -> IngestPlan:
        """Read and split the newest generation of a document, unless that is done.

        Raises:
            Unavailable: the database, or the server of a URL, cannot be reached.
        """
        with send_heartbeats():
            document = await to_thread(self._load, ref.owner)
            if not document.is_pending:
                if document.submission is None:
                    await to_thread(self._remove, ref.owner)
                return IngestPlan()
            generation = Generation(ref.owner, document.generation)
            known = await to_thread(self._staged.state, generation)
            if known is not None:
                return IngestPlan(generation.number, known.total, known.done)
            try:
                total = await self._stage(generation, document)
            except ExtractionFailed as failure:
                failed = IngestFailure(ref.owner, generation.number, failure.code, str(failure))
                await to_thread(self.fail_document, failed)
                return IngestPlan(failed=True)
            return IngestPlan(generation.number, total)

    @activity.defn(name="embed_chunks")
    async def embed_chunks(self, ref: GenerationRef) -> EmbedProgress:
        """Embed and store the next chunks of a generation, some thousand at most.

        Raises:
            ApplicationError: the embedding model failed.
            Unavailable: the database cannot be reached.
        """
        generation = Generation(ref.owner, ref.generation)
        progress = EmbedProgress(0, 0, is_complete=False)
        with send_heartbeats():
            for _ in range(BATCHES_AT_ONCE):
                document = await to_thread(self._load, ref.owner)
                state = await to_thread(self._staged.state, generation)
                if document.submission is None or document.generation != ref.generation or state is None:
                    return EmbedProgress(0, 0, is_complete=False, is_wanted=False)
                chunks = await to_thread(self._staged.next_batch, generation, BATCH)
                if not chunks:
                    return EmbedProgress(state.done, state.total, is_complete=True)
                await self._embed(generation, document, chunks, state.model)
                progress = EmbedProgress(state.done + len(chunks), state.total, is_complete=False)
        return progress

    @activity.defn(name="activate_document")
    async def activate_document(self, ref: GenerationRef) -> bool:
        """Let the generation be found in place of the one before. False if it is not wanted any more."""
        with send_heartbeats():
            return await to_thread(self._activate, Generation(ref.owner, ref.generation))

    @activity.defn(name="fail_document", no_thread_cancel_exception=True)
    def fail_document(self, failure: IngestFailure) -> None:
        """Record that a generation cannot be indexed, and remove what was stored of it."""
        _, document_id = document_of(failure.owner)
        document = self._load(failure.owner)
        if document.submission is None:
            self._remove(failure.owner)
            return
        self._commands.fail(document_id, failure.generation, failure.code, failure.reason, self._cause(document))
        self._staged.remove(failure.owner, before=failure.generation + 1)

    async def _stage(self, generation: Generation, document: Document) -> int:
        """Read, split and keep the chunks of a generation. Returns their number.

        Raises:
            ExtractionFailed: the document cannot be read.
        """
        found = await self._reader.read(generation, document)
        chunks = await to_thread(lambda: list(islice(split(found.blocks), MAX_CHUNKS + 1)))
        if len(chunks) > MAX_CHUNKS:
            raise ExtractionFailed("TOO_LARGE", f"the document has more than {MAX_CHUNKS} chunks")
        await to_thread(self._staged.stage, generation, chunks, found.pages, self._calls.default_model)
        return len(chunks)

    async def _embed(self, generation: Generation, document: Document, chunks: list[Chunk], model: str) -> None:
        title = await to_thread(self._title, generation.owner, document)
        call = self._call(generation, document, chunks, model, title)
        try:
            reply = await self._calls.embed(call)
        except LookupError:
            reply = await self._calls.embed(await to_thread(self._renew_call, generation, call, chunks))
        except ModelFailure as failure:
            raise model_failure_error(failure, final=failure.permanent) from None
        embeddings = reply.embeddings
        await to_thread(self._store.prepare, len(embeddings.vectors[0]))
        await to_thread(self._store.add, generation, title, chunks, embeddings.vectors)
        numbers = [chunk.number for chunk in chunks]
        await to_thread(self._staged.advance, generation, numbers, embeddings, reply.kept)

    def _renew_call(self, generation: Generation, call: EmbeddingCall, chunks: list[Chunk]) -> EmbeddingCall:
        """Return the call to make again: it was settled, and its vectors are gone.

        Raises:
            Unavailable: another attempt, which was thought dead, has used them; the next attempt goes on after it.
        """
        left = self._staged.next_batch(generation, 1)
        if not left or left[0].number != chunks[0].number:
            raise Unavailable("another attempt embeds these chunks", retry_after=1)
        return replace(call, call_id=derived_id("embedding-again", call.call_id, activity.info().attempt))

    @staticmethod
    def _call(generation: Generation, document: Document, chunks: list[Chunk], model: str, title: str) -> EmbeddingCall:
        current = document.current
        first, size = chunks[0].number, len(chunks)
        return EmbeddingCall(
            call_id=derived_id("embedding", generation.owner, generation.number, model, first, size),
            model=model,
            texts=[embedded_text(title, chunk.heading, chunk.text) for chunk in chunks],
            agent_id=AGENT,
            session_id=generation.owner,
            workflow_id=f"ingest-{generation.owner.removeprefix('document_')}",
            key_id=current.by,
            because=current.because,
            keeps_vectors=True,
        )

    def _activate(self, generation: Generation) -> bool:
        document = self._load(generation.owner)
        state = self._staged.state(generation)
        if document.submission is None or document.generation != generation.number or state is None:
            return False
        current = document.current
        texts = self._content.get(generation.owner, [current.title_hash, current.metadata_hash])
        metadata = orjson.loads(texts.get(current.metadata_hash, "{}"))
        entry = DocumentEntry(
            generation=generation,
            tenant_id=current.tenant_id,
            document_id=current.document_id,
            collection=current.collection,
            title=texts.get(current.title_hash, ""),
            metadata=metadata,
            dated=policy.date_of(metadata, current.at),
            model=state.model,
            dimensions=state.dimensions,
            chunks=state.total,
            words=state.words,
        )
        if not self._store.activate(entry, lambda: self._is_newest(generation)):
            return False
        result = IndexResult(state.total, state.words, state.pages, state.tokens, state.model, state.dimensions)
        self._commands.index(current.document_id, generation.number, result, self._cause(document))
        self._store.remove(generation.owner, before=generation.number)
        self._staged.remove(generation.owner, before=generation.number + 1)
        return True

    def _is_newest(self, generation: Generation) -> bool:
        document = self._load(generation.owner)
        return document.submission is not None and document.generation == generation.number

    def _title(self, owner: str, document: Document) -> str:
        title_hash = document.current.title_hash
        return self._content.get(owner, [title_hash]).get(title_hash, "")

    def _load(self, owner: str) -> Document:
        return self._commands.load(*document_of(owner))

    def _remove(self, owner: str) -> None:
        """Remove what was stored of a document that was deleted meanwhile."""
        self._staged.remove(owner)
        self._store.remove(owner)

    def _cause(self, document: Document) -> Cause:
        return cause_of(document, self._now())
