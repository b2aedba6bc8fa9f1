"""The past of a client: its history, and its state at a moment. A deleted client has one too."""

from collections.abc import Sequence

from domain.clients.aggregate import ClientRecord, evolve_all, refuse_hidden, stream
from domain.clients.commands import to_view
from domain.clients.events import ClientCreated, ClientDeleted, ClientUpdated
from domain.clients.ports import ClientView
from domain.clients.profile import FIELDS, profile_of
from domain.events import Event
from domain.records.history import HistoryEntry, history_entry
from domain.records.past import Documents, RecordPast


class ClientPast(RecordPast[ClientView]):
    """Reads the past of clients from the ledger."""

    noun = "client"

    def _stream(self, tenant_id: str, record_id: int) -> str:
        return stream(tenant_id, record_id)

    def _texts_hash(self, event: Event) -> str | None:
        return event.profile_hash if isinstance(event, ClientCreated | ClientUpdated) else None

    def _view(self, events: Sequence[Event], documents: Documents) -> ClientView:
        client = evolve_all(ClientRecord(), events)
        refuse_hidden(client)
        return to_view(client, profile_of(documents.get(client.profile_hash)))

    def _entry(self, version: int, event: Event, documents: Documents) -> HistoryEntry:
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
