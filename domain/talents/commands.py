"""Commands on talents, through the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.content import ContentEraser, ContentStore
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.records.documents import read_documents
from domain.records.integer_ids import IntegerIds, TenantSecrets
from domain.records.repeats import is_repeat
from domain.talents import aggregate, emails
from domain.talents.aggregate import TalentRecord, TalentValues, evolve_all, owner_prefix, stream
from domain.talents.ports import TalentView
from domain.talents.profile import FIELDS, TalentProfile, profile_of

Check = Callable[[int], None]
"""Refuses if the talent's version is not the one the caller knows."""


@dataclass(frozen=True, slots=True)
class TalentDraft:
    """A talent to create."""

    profile: TalentProfile
    status: str = "active"


class TalentCommands:
    """Commands of people on their tenant's talents.

    All commands raise `domain.errors.Unavailable` where the ledger cannot be reached.
    """

    def __init__(
        self,
        ledger: Ledger,
        content: ContentStore,
        ids: IntegerIds,
        secrets: TenantSecrets,
        eraser: ContentEraser,
    ) -> None:
        self._ledger = ledger
        self._content = content
        self._ids = ids
        self._secrets = secrets
        self._eraser = eraser

    def get(self, tenant_id: str, talent_id: int) -> TalentView:
        """Return the talent as it stands.

        Raises:
            NotFound: there is none of this id, or it is deleted.
        """
        return self._view(tenant_id, self._visible(tenant_id, talent_id))

    def find_existing(self, tenant_id: str, talent_ids: Sequence[int]) -> set[int]:
        """Return those of the ids that are talents of the tenant and not deleted."""
        streams = {stream(tenant_id, talent_id): talent_id for talent_id in talent_ids}
        known = self._ledger.read_many(list(streams)) if streams else {}
        return {streams[name] for name, events in known.items() if evolve_all(TalentRecord(), events).is_visible}

    def create(self, new: TalentDraft, cause: Cause, *, key: str | None) -> TalentView:
        """Create a talent; with a key, a repeat returns the talent that was created.

        Raises:
            Conflict: another talent has the e-mail address.
        """
        tenant_id = cause.tenant_id
        talent_id = self._ids.reserve(tenant_id, "talent", key=key)
        once = f"talent.create:{key or random_id('create')}"

        def write() -> TalentView:
            document = new.profile.as_content(stream(tenant_id, talent_id))
            values = TalentValues(document.hash, self._email_key(tenant_id, new.profile.email), new.status)
            events = aggregate.create(talent_id, values, cause)
            created = Change(stream(tenant_id, talent_id), 0, events)
            if is_repeat(self._ledger, created, once):
                return self._view(tenant_id, self._load(tenant_id, talent_id))
            after = evolve_all(TalentRecord(), events)
            moved = self._email_changes(TalentRecord(), after, cause)
            self._ledger.append(created, *moved, key=once, content=[document])
            return to_view(after, new.profile)

        return retry_on_conflict(write)

    def update(self, talent_id: int, changes: Mapping[str, Any], cause: Cause, *, check: Check) -> TalentView:
        """Change the given fields of the profile, and the status; fields that have the value already do not count.

        Raises:
            NotFound: there is no such talent, or its texts were erased.
            Conflict: another talent has the new e-mail address.
        """
        tenant_id, once = cause.tenant_id, random_id("change")

        def write() -> TalentView:
            before = self._visible(tenant_id, talent_id)
            check(before.changes)
            profile = self._profile(tenant_id, before)
            if profile is None:
                raise NotFound("the texts of this talent were erased")
            status = changes.get("status", before.status)
            changed = replace(profile, **{name: value for name, value in changes.items() if name != "status"})
            fields = _changed_fields(profile, changed) + (("status",) if status != before.status else ())
            if not fields:
                return to_view(before, profile)
            document = changed.as_content(stream(tenant_id, talent_id))
            values = TalentValues(document.hash, self._email_key(tenant_id, changed.email), status)
            events = aggregate.update(before, values, fields, cause)
            after = evolve_all(before, events)
            moved = self._email_changes(before, after, cause)
            change = Change(stream(tenant_id, talent_id), before.changes, events)
            self._ledger.append(change, *moved, key=once, content=[document])
            return to_view(after, changed)

        return retry_on_conflict(write)

    def delete(self, talent_id: int, cause: Cause, *, check: Check) -> None:
        """Hide the talent and free its e-mail address.

        Raises:
            NotFound: there is no such talent.
        """
        once = random_id("change")

        def write() -> None:
            before = self._visible(cause.tenant_id, talent_id)
            check(before.changes)
            self._append(before, talent_id, aggregate.delete(before, cause), cause, once)

        retry_on_conflict(write)

    def erase(self, talent_id: int, cause: Cause, *, key: str) -> None:
        """Remove all texts about the talent, in every version, and hide it. A repeat removes what may be left.

        Raises:
            NotFound: there never was such a talent.
        """

        def write() -> None:
            before = self._load(cause.tenant_id, talent_id)
            if events := aggregate.erase(before, cause):
                self._append(before, talent_id, events, cause, f"talent.erase:{key}")

        retry_on_conflict(write)
        # after the event: an update that was decided before it cannot be recorded any more, and so stores no text
        self._eraser.erase(stream(cause.tenant_id, talent_id))

    def _append(self, before: TalentRecord, talent_id: int, events: Sequence[Event], cause: Cause, key: str) -> None:
        moved = self._email_changes(before, evolve_all(before, events), cause)
        self._ledger.append(Change(stream(cause.tenant_id, talent_id), before.changes, events), *moved, key=key)

    def _load(self, tenant_id: str, talent_id: int) -> TalentRecord:
        return evolve_all(TalentRecord(), self._ledger.read(stream(tenant_id, talent_id)))

    def _visible(self, tenant_id: str, talent_id: int) -> TalentRecord:
        talent = self._load(tenant_id, talent_id)
        aggregate.refuse_hidden(talent)
        return talent

    def _email_key(self, tenant_id: str, email: str) -> str:
        return emails.email_key(self._secrets.secret(tenant_id, emails.PURPOSE), email)

    def _email_changes(self, before: TalentRecord, after: TalentRecord, cause: Cause) -> list[Change]:
        had, has = emails.owned_key(before), emails.owned_key(after)
        keys = [key for key in (had, has) if key is not None and had != has]
        claims = self._ledger.read_many([emails.email_stream(cause.tenant_id, key) for key in keys]) if keys else {}
        if has is not None:
            emails.refuse_taken(after.id, claims.get(emails.email_stream(cause.tenant_id, has), ()))
        return emails.email_changes(before, after, claims, cause)

    def _view(self, tenant_id: str, talent: TalentRecord) -> TalentView:
        return to_view(talent, self._profile(tenant_id, talent))

    def _profile(self, tenant_id: str, talent: TalentRecord) -> TalentProfile | None:
        owner = f"{owner_prefix(tenant_id)}{talent.id}"
        return profile_of(read_documents(self._content, owner, [talent.profile_hash]).get(talent.profile_hash))


def _changed_fields(before: TalentProfile, after: TalentProfile) -> tuple[str, ...]:
    return tuple(name for name in FIELDS if getattr(before, name) != getattr(after, name))


def to_view(talent: TalentRecord, profile: TalentProfile | None) -> TalentView:
    """Return the talent as readers see it.

    Raises:
        NotFound: it was never created.
    """
    if talent.created_at is None or talent.changed_at is None:
        raise NotFound("there is no such talent")
    return TalentView(talent.id, talent.status, talent.created_at, talent.changed_at, talent.changes, profile)
