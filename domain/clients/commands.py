"""Commands on clients, through the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.clients import aggregate
from domain.clients.aggregate import ClientRecord, evolve_all, stream
from domain.clients.ports import ClientView
from domain.clients.profile import FIELDS, ClientProfile, profile_of
from domain.content import ContentEraser, ContentStore
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.records.documents import read_documents
from domain.records.integer_ids import IntegerIds
from domain.records.repeats import is_repeat

Check = Callable[[int], None]
"""Refuses if the client's version is not the one the caller knows."""


@dataclass(frozen=True, slots=True)
class ClientDraft:
    """A client to create."""

    profile: ClientProfile
    status: str = "active"


class ClientCommands:
    """Commands of people on their tenant's clients.

    All commands raise `domain.errors.Unavailable` where the ledger cannot be reached.
    """

    def __init__(self, ledger: Ledger, content: ContentStore, ids: IntegerIds, eraser: ContentEraser) -> None:
        self._ledger = ledger
        self._content = content
        self._ids = ids
        self._eraser = eraser

    def get(self, tenant_id: str, client_id: int) -> ClientView:
        """Return the client as it stands.

        Raises:
            NotFound: there is none of this id, or it is deleted.
        """
        return self._view(tenant_id, self._visible(tenant_id, client_id))

    def find_existing(self, tenant_id: str, client_ids: Sequence[int]) -> set[int]:
        """Return those of the ids that are clients of the tenant and not deleted."""
        streams = {stream(tenant_id, client_id): client_id for client_id in client_ids}
        known = self._ledger.read_many(list(streams)) if streams else {}
        return {streams[name] for name, events in known.items() if evolve_all(ClientRecord(), events).is_visible}

    def create(self, new: ClientDraft, cause: Cause, *, key: str | None) -> ClientView:
        """Create a client; with a key, a repeat returns the client that was created."""
        client_id = self._ids.reserve(cause.tenant_id, "client", key=key)
        own, once = stream(cause.tenant_id, client_id), f"client.create:{key or random_id('create')}"

        def write() -> ClientView:
            document = new.profile.as_content(own)
            events = aggregate.create(client_id, document.hash, new.status, cause)
            created = Change(own, 0, events)
            if is_repeat(self._ledger, created, once):
                return self._view(cause.tenant_id, self._load(cause.tenant_id, client_id))
            self._ledger.append(created, key=once, content=[document])
            return to_view(evolve_all(ClientRecord(), events), new.profile)

        return retry_on_conflict(write)

    def update(self, client_id: int, changes: Mapping[str, Any], cause: Cause, *, check: Check) -> ClientView:
        """Change the given fields of the profile, and the status; fields that have the value already do not count.

        Raises:
            NotFound: there is no such client, or its texts were erased.
        """
        own, once = stream(cause.tenant_id, client_id), random_id("change")

        def write() -> ClientView:
            before = self._visible(cause.tenant_id, client_id)
            check(before.changes)
            profile = self._profile(cause.tenant_id, before)
            if profile is None:
                raise NotFound("the texts of this client were erased")
            status = changes.get("status", before.status)
            changed = replace(profile, **{name: value for name, value in changes.items() if name != "status"})
            fields = tuple(name for name in FIELDS if getattr(profile, name) != getattr(changed, name))
            document = changed.as_content(own)
            fields = (*fields, "status") if status != before.status else fields
            events = aggregate.update(before, document.hash, status, fields, cause)
            if events:
                self._ledger.append(Change(own, before.changes, events), key=once, content=[document])
            return to_view(evolve_all(before, events), changed)

        return retry_on_conflict(write)

    def delete(self, client_id: int, cause: Cause, *, check: Check) -> None:
        """Hide the client. Projects keep its id.

        Raises:
            NotFound: there is no such client.
        """
        once = random_id("change")

        def write() -> None:
            before = self._visible(cause.tenant_id, client_id)
            check(before.changes)
            self._append(before, client_id, aggregate.delete(before, cause), cause, once)

        retry_on_conflict(write)

    def erase(self, client_id: int, cause: Cause, *, key: str) -> None:
        """Remove all texts about the client, in every version, and hide it. A repeat removes what may be left.

        Raises:
            NotFound: there never was such a client.
        """

        def write() -> None:
            before = self._load(cause.tenant_id, client_id)
            if events := aggregate.erase(before, cause):
                self._append(before, client_id, events, cause, f"client.erase:{key}")

        retry_on_conflict(write)
        # after the event: an update that was decided before it cannot be recorded any more, and so stores no text
        self._eraser.erase(stream(cause.tenant_id, client_id))

    def _append(self, before: ClientRecord, client_id: int, events: Sequence[Event], cause: Cause, key: str) -> None:
        self._ledger.append(Change(stream(cause.tenant_id, client_id), before.changes, events), key=key)

    def _load(self, tenant_id: str, client_id: int) -> ClientRecord:
        return evolve_all(ClientRecord(), self._ledger.read(stream(tenant_id, client_id)))

    def _visible(self, tenant_id: str, client_id: int) -> ClientRecord:
        client = self._load(tenant_id, client_id)
        aggregate.refuse_hidden(client)
        return client

    def _view(self, tenant_id: str, client: ClientRecord) -> ClientView:
        return to_view(client, self._profile(tenant_id, client))

    def _profile(self, tenant_id: str, client: ClientRecord) -> ClientProfile | None:
        owner = stream(tenant_id, client.id)
        return profile_of(read_documents(self._content, owner, [client.profile_hash]).get(client.profile_hash))


def to_view(client: ClientRecord, profile: ClientProfile | None) -> ClientView:
    """Return the client as readers see it.

    Raises:
        NotFound: it was never created.
    """
    if client.created_at is None or client.changed_at is None:
        raise NotFound("there is no such client")
    return ClientView(client.id, client.status, client.created_at, client.changed_at, client.changes, profile)
