"""One talent, and the decisions on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from domain.errors import NotFound
from domain.events import Cause, Event
from domain.talents.events import TalentCreated, TalentDeleted, TalentErased, TalentEvent, TalentUpdated
from domain.tenant_ids import stream_prefix


@dataclass(frozen=True, slots=True)
class TalentRecord:
    """`changes` counts the events, the last of which happened at `changed_at`; it is the talent's version."""

    id: int = 0
    profile_hash: str = ""
    email_key: str = ""
    status: str = "active"
    deleted: bool = False
    erased: bool = False
    changes: int = 0
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def is_visible(self) -> bool:
        """Return True if it was created, and neither deleted nor erased."""
        return self.changes > 0 and not self.deleted


@dataclass(frozen=True, slots=True)
class TalentValues:
    """The values of a version, as an event has them."""

    profile_hash: str
    email_key: str
    status: str


def owner_prefix(tenant_id: str) -> str:
    """Return the beginning of the streams of a tenant's talents, which are the owners of their texts too."""
    return stream_prefix("talent", tenant_id)


def stream(tenant_id: str, talent_id: int) -> str:
    return f"{owner_prefix(tenant_id)}{talent_id}"


def evolve(talent: TalentRecord, event: Event) -> TalentRecord:
    talent = replace(talent, changes=talent.changes + 1, changed_at=event.at)
    match event:
        case TalentCreated(talent_id=talent_id, profile_hash=profile, email_key=email, status=status, at=at):
            return replace(talent, id=talent_id, profile_hash=profile, email_key=email, status=status, created_at=at)
        case TalentUpdated(profile_hash=profile, email_key=email, status=status):
            return replace(talent, profile_hash=profile, email_key=email, status=status)
        case TalentDeleted():
            return replace(talent, deleted=True)
        case TalentErased():
            return replace(talent, deleted=True, erased=True)
        case _:
            return talent


def evolve_all(talent: TalentRecord, events: Iterable[Event]) -> TalentRecord:
    for event in events:
        talent = evolve(talent, event)
    return talent


def create(talent_id: int, values: TalentValues, cause: Cause) -> list[TalentEvent]:
    """Create the talent."""
    return [
        TalentCreated(
            talent_id=talent_id,
            profile_hash=values.profile_hash,
            email_key=values.email_key,
            status=values.status,
            **cause.fields(),
        )
    ]


def update(talent: TalentRecord, values: TalentValues, fields: tuple[str, ...], cause: Cause) -> list[TalentEvent]:
    """Give these fields other values; nothing if none differs.

    Raises:
        NotFound: the talent does not exist or is deleted.
    """
    refuse_hidden(talent)
    if not fields:
        return []
    return [
        TalentUpdated(
            talent_id=talent.id,
            fields=fields,
            profile_hash=values.profile_hash,
            email_key=values.email_key,
            status=values.status,
            **cause.fields(),
        )
    ]


def delete(talent: TalentRecord, cause: Cause) -> list[TalentEvent]:
    """Hide the talent.

    Raises:
        NotFound: the talent does not exist or is deleted.
    """
    refuse_hidden(talent)
    return [TalentDeleted(talent_id=talent.id, **cause.fields())]


def erase(talent: TalentRecord, cause: Cause) -> list[TalentEvent]:
    """Record that all texts are removed; nothing if that is recorded already.

    Raises:
        NotFound: the talent never existed.
    """
    if not talent.changes:
        raise NotFound("there is no such talent")
    return [] if talent.erased else [TalentErased(talent_id=talent.id, **cause.fields())]


def refuse_hidden(talent: TalentRecord) -> None:
    """Return if the talent can be seen.

    Raises:
        NotFound: it cannot.
    """
    if not talent.is_visible:
        raise NotFound("there is no such talent")
