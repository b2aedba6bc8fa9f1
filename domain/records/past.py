"""The past of records: their history, and their state at a moment. A deleted record has one too."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from domain.content import ContentStore
from domain.errors import NotFound
from domain.events import Event
from domain.ledger import Ledger
from domain.records.documents import read_documents
from domain.records.history import HistoryEntry, events_until

V = TypeVar("V")
Documents = Mapping[str, dict[str, Any]]
"""Texts of versions of a record by their hashes; erased ones are absent."""


class RecordPast(ABC, Generic[V]):
    """Reads the past of one kind of records from the ledger. `V` is a record as readers see it."""

    noun: ClassVar[str]

    def __init__(self, ledger: Ledger, content: ContentStore) -> None:
        self._ledger = ledger
        self._content = content

    def history(self, tenant_id: str, record_id: int) -> list[HistoryEntry]:
        """Return all events of a record, oldest first.

        Raises:
            NotFound: there never was such a record.
        """
        events = self._events(tenant_id, record_id)
        documents = self._documents(tenant_id, record_id, events)
        return [self._entry(version, event, documents) for version, event in enumerate(events, 1)]

    def state_at(self, tenant_id: str, record_id: int, moment: datetime) -> V:
        """Return the record as it was at the moment.

        Raises:
            NotFound: it did not exist then, or was deleted.
        """
        events = events_until(self._events(tenant_id, record_id), moment)
        return self._view(events, self._documents(tenant_id, record_id, events[-1:] if events else ()))

    @abstractmethod
    def _stream(self, tenant_id: str, record_id: int) -> str: ...

    @abstractmethod
    def _texts_hash(self, event: Event) -> str | None:
        """Return the hash of the texts that the record has from this event on."""

    @abstractmethod
    def _entry(self, version: int, event: Event, documents: Documents) -> HistoryEntry: ...

    @abstractmethod
    def _view(self, events: Sequence[Event], documents: Documents) -> V:
        """Return the record after these events; raises NotFound if it is hidden."""

    def _events(self, tenant_id: str, record_id: int) -> Sequence[Event]:
        events = self._ledger.read(self._stream(tenant_id, record_id))
        if not events:
            raise NotFound(f"there is no such {self.noun}")
        return events

    def _documents(self, tenant_id: str, record_id: int, events: Sequence[Event]) -> Documents:
        hashes = {found for event in events if (found := self._texts_hash(event)) is not None}
        return read_documents(self._content, self._stream(tenant_id, record_id), hashes)
