"""The text of a document: of what was stored, or of what is fetched from its URL."""

import base64
from asyncio import get_running_loop, to_thread
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial

from temporalio import activity

from domain.content import Content, ContentStore
from domain.errors import Unavailable
from domain.events import Cause
from domain.knowledge.aggregate import Document, document_of
from domain.knowledge.commands import DocumentCommands
from domain.knowledge.kinds import kind_of
from domain.knowledge.ports import Extracted, ExtractionFailed, Extractor, Generation, PageFetcher

AT_ONCE = 1
"""Documents that one process of the platform has read at a time; others wait."""


MOST_FETCHES = 6
"""Attempts to fetch a URL that cannot be reached: a minute, or as long as its server is silent."""


class DocumentReader:
    """Reads the newest generation of a document. A URL is fetched once, and what came is recorded."""

    def __init__(
        self,
        commands: DocumentCommands,
        content: ContentStore,
        extractor: Extractor,
        fetcher: PageFetcher,
        now: Callable[[], datetime],
    ) -> None:
        self._commands = commands
        self._content = content
        self._extractor = extractor
        self._fetcher = fetcher
        self._now = now
        # of its own: documents that wait to be read must not hold the threads that write to the ledger
        self._reading = ThreadPoolExecutor(AT_ONCE, "documents")

    async def read(self, generation: Generation, document: Document) -> Extracted:
        """Return the text of a document.

        Raises:
            ExtractionFailed: it cannot be fetched or read.
            Unavailable: the database, or the server of its URL, cannot be reached now.
        """
        if document.content_hash is None:
            document = await self._fetch(generation, document)
        content = await to_thread(self._source, generation.owner, document)
        loop = get_running_loop()
        return await loop.run_in_executor(self._reading, self._extractor.extract, document.kind, content)

    async def _fetch(self, generation: Generation, document: Document) -> Document:
        url = await to_thread(self._text, generation.owner, document.current.url_hash)
        try:
            page = await self._fetcher.fetch(url)
        except Unavailable as away:
            if activity.info().attempt < MOST_FETCHES:
                raise
            raise ExtractionFailed("NOT_FETCHED", away.message) from away
        kind = kind_of(page.media_type, url.partition("?")[0].rpartition("/")[2], page.content)
        if kind is None:
            raise ExtractionFailed("UNSUPPORTED", "the server sent a media type that cannot be read")
        stored = Content(generation.owner, base64.b64encode(page.content).decode())
        tenant_id, document_id = document_of(generation.owner)
        await to_thread(
            partial(self._commands.fetch, kind=kind, content=stored, size=len(page.content)),
            document_id,
            generation.number,
            cause_of(document, self._now()),
        )
        return await to_thread(self._commands.load, tenant_id, document_id)

    def _source(self, owner: str, document: Document) -> bytes:
        text = self._text(owner, document.content_hash)
        return text.encode() if document.current.source == "text" else base64.b64decode(text)

    def _text(self, owner: str, text_hash: str | None) -> str:
        texts = self._content.get(owner, [text_hash]) if text_hash is not None else {}
        for text in texts.values():
            return text
        raise ExtractionFailed("ERASED", "the document was erased")


def cause_of(document: Document, at: datetime) -> Cause:
    """Return the cause of a change to a document: the request that submitted its newest generation."""
    current = document.current
    return Cause(current.by, current.because, at, current.tenant_id)
