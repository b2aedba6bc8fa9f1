"""Commands on documents, through the ledger."""

from collections.abc import Callable, Sequence

from domain.content import Content
from domain.events import Cause, Event
from domain.knowledge import aggregate
from domain.knowledge.aggregate import Document, IndexResult, Submission
from domain.knowledge.events import DocumentSubmitted, Kind
from domain.ledger import BRIEF_S, MANY_TRIES, Change, Ledger, retry_on_conflict

Check = Callable[[int], None]
"""Refuses if the version is not the one the caller knows."""


class DocumentCommands:
    """All raise `domain.errors.Unavailable` where the ledger cannot be reached."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, tenant_id: str, document_id: str) -> Document:
        """Return a document; one that was never submitted has version 0."""
        return aggregate.load(self._ledger.read(aggregate.stream(tenant_id, document_id)))

    def submit(
        self,
        document_id: str,
        submission: Submission,
        texts: Sequence[Content],
        cause: Cause,
        *,
        check: Check = lambda _: None,
    ) -> DocumentSubmitted:
        """Submit the next generation, and return it; the same submission is recorded once.

        `check` refuses if the document's generation is not the one the caller knows.
        """

        def write() -> DocumentSubmitted:
            document = self.load(cause.tenant_id, document_id)
            if (done := self._find(cause.tenant_id, document_id, submission.submission_id)) is not None:
                return done
            check(document.generation)
            events = aggregate.submit(document, document_id, submission, cause)
            key = f"knowledge.submit:{submission.submission_id}"
            self._append(cause.tenant_id, document_id, document, events, key=key, texts=texts)
            [submitted] = (event for event in events if isinstance(event, DocumentSubmitted))
            return self._find(cause.tenant_id, document_id, submission.submission_id) or submitted

        return retry_on_conflict(write, tries=MANY_TRIES, pause_s=BRIEF_S)

    def reindex(self, document_id: str, submission_id: str, cause: Cause) -> bool:
        """Submit the newest generation again. False if one is being indexed already.

        Raises:
            NotFound: there is no such document.
            Conflict: it has no content that could be read again.
        """

        def decide(document: Document) -> list[Event]:
            return aggregate.reindex(document, submission_id, cause)

        return self._change(cause.tenant_id, document_id, f"knowledge.submit:{submission_id}", decide) is not None

    def fetch(
        self, document_id: str, generation: int, cause: Cause, *, kind: Kind, content: Content, size: int
    ) -> None:
        """Record the content of a URL, once."""

        def decide(document: Document) -> list[Event]:
            return aggregate.fetch(document, generation, cause, kind=kind, content_hash=content.hash, size=size)

        key = f"knowledge.fetch:{aggregate.owner(cause.tenant_id, document_id)}:{generation}"
        self._change(cause.tenant_id, document_id, key, decide, [content])

    def index(self, document_id: str, generation: int, result: IndexResult, cause: Cause) -> None:
        """Record that a generation was indexed, unless another one is the newest by now."""

        def decide(document: Document) -> list[Event]:
            return aggregate.index(document, generation, result, cause)

        self._change(cause.tenant_id, document_id, self._end_key(cause, document_id, generation), decide)

    def fail(self, document_id: str, generation: int, code: str, reason: str, cause: Cause) -> None:
        """Record that a generation cannot be indexed, unless another one is the newest by now."""

        def decide(document: Document) -> list[Event]:
            return aggregate.fail(document, generation, code, reason, cause)

        self._change(cause.tenant_id, document_id, self._end_key(cause, document_id, generation), decide)

    def delete(self, document_id: str, cause: Cause, *, check: Check = lambda _: None) -> Document:
        """Delete a document, and return it as it was. `check` refuses if its generation is not the expected one.

        Raises:
            NotFound: there is no such document.
        """

        def write() -> Document:
            document = self.load(cause.tenant_id, document_id)
            events = aggregate.delete(document, cause)
            check(document.generation)
            name = aggregate.owner(cause.tenant_id, document_id)
            self._append(
                cause.tenant_id, document_id, document, events, key=f"knowledge.delete:{name}:{document.version}"
            )
            return document

        return retry_on_conflict(write, tries=MANY_TRIES, pause_s=BRIEF_S)

    def _change(
        self,
        tenant_id: str,
        document_id: str,
        key: str,
        decide: Callable[[Document], list[Event]],
        texts: Sequence[Content] = (),
    ) -> int | None:
        def write() -> int | None:
            document = self.load(tenant_id, document_id)
            events = decide(document)
            return self._append(tenant_id, document_id, document, events, key=key, texts=texts) if events else None

        return retry_on_conflict(write, tries=MANY_TRIES, pause_s=BRIEF_S)

    def _append(
        self,
        tenant_id: str,
        document_id: str,
        document: Document,
        events: Sequence[Event],
        *,
        key: str,
        texts: Sequence[Content] = (),
    ) -> int | None:
        change = Change(aggregate.stream(tenant_id, document_id), document.version, events)
        return self._ledger.append(change, key=key, content=texts)

    def _find(self, tenant_id: str, document_id: str, submission_id: str) -> DocumentSubmitted | None:
        events = self._ledger.read(aggregate.stream(tenant_id, document_id))
        submitted = (event for event in events if isinstance(event, DocumentSubmitted))
        return next((event for event in submitted if event.submission_id == submission_id), None)

    @staticmethod
    def _end_key(cause: Cause, document_id: str, generation: int) -> str:
        return f"knowledge.end:{aggregate.owner(cause.tenant_id, document_id)}:{generation}"
