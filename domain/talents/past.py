"""The past of a talent: its history, and its state at a moment. A deleted talent has one too."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.content import ContentStore
from domain.errors import NotFound
from domain.events import Event
from domain.ledger import Ledger
from domain.records.documents import read_documents
from domain.records.history import HistoryEntry, events_until, history_entry
from domain.talents import aggregate
from domain.talents.aggregate import Talent, evolve_all, stream
from domain.talents.events import TalentCreated, TalentDeleted, TalentUpdated
from domain.talents.ports import TalentView
from domain.talents.profile import FIELDS, profile_of


class TalentPast:
    """Reads the past of talents from the ledger."""

    def __init__(self, ledger: Ledger, content: ContentStore) -> None:
        self._ledger = ledger
        self._content = content

    def history(self, tenant_id: str, talent_id: int) -> list[HistoryEntry]:
        """Return all events of a talent, oldest first.

        Raises:
            NotFound: there never was such a talent.
        """
        events = self._events(tenant_id, talent_id)
        hashes = {event.profile_hash for event in events if isinstance(event, TalentCreated | TalentUpdated)}
        documents = read_documents(self._content, stream(tenant_id, talent_id), hashes)
        return [_entry(version, event, documents) for version, event in enumerate(events, 1)]

    def state_at(self, tenant_id: str, talent_id: int, moment: datetime) -> TalentView:
        """Return the talent as it was at the moment.

        Raises:
            NotFound: it did not exist then, or was deleted.
        """
        talent = evolve_all(Talent(), events_until(self._events(tenant_id, talent_id), moment))
        aggregate.refuse_hidden(talent)
        if talent.created_at is None or talent.changed_at is None:
            raise NotFound("there is no such talent")
        documents = read_documents(self._content, stream(tenant_id, talent_id), [talent.profile_hash])
        profile = profile_of(documents.get(talent.profile_hash))
        return TalentView(talent.id, talent.status, talent.created_at, talent.changed_at, talent.changes, profile)

    def _events(self, tenant_id: str, talent_id: int) -> Sequence[Event]:
        events = self._ledger.read(stream(tenant_id, talent_id))
        if not events:
            raise NotFound("there is no such talent")
        return events


def _entry(version: int, event: Event, documents: Mapping[str, dict[str, Any]]) -> HistoryEntry:
    match event:
        case TalentCreated(profile_hash=profile, status=status):
            values = {**documents.get(profile, {}), "status": status}
            return history_entry(version, event, "created", (*FIELDS, "status"), values)
        case TalentUpdated(fields=fields, profile_hash=profile, status=status):
            values = {**documents.get(profile, {}), "status": status}
            return history_entry(version, event, "updated", fields, values)
        case TalentDeleted():
            return history_entry(version, event, "deleted")
        case _:
            return history_entry(version, event, "erased")
