"""The past of a client: its history, and its state at a moment. A deleted client has one too."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.clients import aggregate
from domain.clients.aggregate import Client, evolve_all, stream
from domain.clients.events import ClientCreated, ClientDeleted, ClientUpdated
from domain.clients.ports import ClientView
from domain.clients.profile import FIELDS, profile_of
from domain.content import ContentStore
from domain.errors import NotFound
from domain.events import Event
from domain.ledger import Ledger
from domain.records.documents import read_documents
from domain.records.history import HistoryEntry, events_until, history_entry


class ClientPast:
    """Reads the past of clients from the ledger."""

    def __init__(self, ledger: Ledger, content: ContentStore) -> None:
        self._ledger = ledger
        self._content = content

    def history(self, tenant_id: str, client_id: int) -> list[HistoryEntry]:
        """Return all events of a client, oldest first.

        Raises:
            NotFound: there never was such a client.
        """
        events = self._events(tenant_id, client_id)
        hashes = {event.profile_hash for event in events if isinstance(event, ClientCreated | ClientUpdated)}
        documents = read_documents(self._content, stream(tenant_id, client_id), hashes)
        return [_entry(version, event, documents) for version, event in enumerate(events, 1)]

    def state_at(self, tenant_id: str, client_id: int, moment: datetime) -> ClientView:
        """Return the client as it was at the moment.

        Raises:
            NotFound: it did not exist then, or was deleted.
        """
        client = evolve_all(Client(), events_until(self._events(tenant_id, client_id), moment))
        aggregate.refuse_hidden(client)
        if client.created_at is None or client.changed_at is None:
            raise NotFound("there is no such client")
        documents = read_documents(self._content, stream(tenant_id, client_id), [client.profile_hash])
        profile = profile_of(documents.get(client.profile_hash))
        return ClientView(client.id, client.status, client.created_at, client.changed_at, client.changes, profile)

    def _events(self, tenant_id: str, client_id: int) -> Sequence[Event]:
        events = self._ledger.read(stream(tenant_id, client_id))
        if not events:
            raise NotFound("there is no such client")
        return events


def _entry(version: int, event: Event, documents: Mapping[str, dict[str, Any]]) -> HistoryEntry:
    match event:
        case ClientCreated(profile_hash=profile, status=status):
            values = {**documents.get(profile, {}), "status": status}
            return history_entry(version, event, "created", (*FIELDS, "status"), values)
        case ClientUpdated(fields=fields, profile_hash=profile, status=status):
            values = {**documents.get(profile, {}), "status": status}
            return history_entry(version, event, "updated", fields, values)
        case ClientDeleted():
            return history_entry(version, event, "deleted")
        case _:
            return history_entry(version, event, "erased")
