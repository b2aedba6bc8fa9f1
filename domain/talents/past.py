"""The past of a talent: its history, and its state at a moment. A deleted talent has one too."""

from collections.abc import Sequence

from domain.events import Event
from domain.records.history import HistoryEntry, history_entry
from domain.records.past import Documents, RecordPast
from domain.talents.aggregate import TalentRecord, evolve_all, refuse_hidden, stream
from domain.talents.commands import to_view
from domain.talents.events import TalentCreated, TalentDeleted, TalentUpdated
from domain.talents.ports import TalentView
from domain.talents.profile import FIELDS, profile_of


class TalentPast(RecordPast[TalentView]):
    """Reads the past of talents from the ledger."""

    noun = "talent"

    def _stream(self, tenant_id: str, record_id: int) -> str:
        return stream(tenant_id, record_id)

    def _texts_hash(self, event: Event) -> str | None:
        return event.profile_hash if isinstance(event, TalentCreated | TalentUpdated) else None

    def _view(self, events: Sequence[Event], documents: Documents) -> TalentView:
        talent = evolve_all(TalentRecord(), events)
        refuse_hidden(talent)
        return to_view(talent, profile_of(documents.get(talent.profile_hash)))

    def _entry(self, version: int, event: Event, documents: Documents) -> HistoryEntry:
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
