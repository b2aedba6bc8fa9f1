"""One client, and the decisions on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from domain.clients.events import ClientCreated, ClientDeleted, ClientErased, ClientEvent, ClientUpdated
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.tenant_ids import stream_prefix


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """`changes` counts the events, the last of which happened at `changed_at`; it is the client's version."""

    id: int = 0
    profile_hash: str = ""
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


def owner_prefix(tenant_id: str) -> str:
    """Return the beginning of the streams of a tenant's clients, which are the owners of their texts too."""
    return stream_prefix("client", tenant_id)


def stream(tenant_id: str, client_id: int) -> str:
    return f"{owner_prefix(tenant_id)}{client_id}"


def evolve(client: ClientRecord, event: Event) -> ClientRecord:
    client = replace(client, changes=client.changes + 1, changed_at=event.at)
    match event:
        case ClientCreated(client_id=client_id, profile_hash=profile, status=status, at=at):
            return replace(client, id=client_id, profile_hash=profile, status=status, created_at=at)
        case ClientUpdated(profile_hash=profile, status=status):
            return replace(client, profile_hash=profile, status=status)
        case ClientDeleted():
            return replace(client, deleted=True)
        case ClientErased():
            return replace(client, deleted=True, erased=True)
        case _:
            return client


def evolve_all(client: ClientRecord, events: Iterable[Event]) -> ClientRecord:
    for event in events:
        client = evolve(client, event)
    return client


def create(client_id: int, profile_hash: str, status: str, cause: Cause) -> list[ClientEvent]:
    """Create the client."""
    return [ClientCreated(client_id=client_id, profile_hash=profile_hash, status=status, **cause.fields())]


def update(
    client: ClientRecord, profile_hash: str, status: str, fields: tuple[str, ...], cause: Cause
) -> list[ClientEvent]:
    """Give these fields other values; nothing if none differs.

    Raises:
        NotFound: the client does not exist or is deleted.
    """
    refuse_hidden(client)
    if not fields:
        return []
    values = {"profile_hash": profile_hash, "status": status}
    return [ClientUpdated(client_id=client.id, fields=fields, **values, **cause.fields())]


def delete(client: ClientRecord, cause: Cause) -> list[ClientEvent]:
    """Hide the client.

    Raises:
        NotFound: the client does not exist or is deleted.
    """
    refuse_hidden(client)
    return [ClientDeleted(client_id=client.id, **cause.fields())]


def erase(client: ClientRecord, cause: Cause) -> list[ClientEvent]:
    """Record that all texts are removed; nothing if that is recorded already.

    Raises:
        NotFound: the client never existed.
    """
    if not client.changes:
        raise NotFound("there is no such client")
    return [] if client.erased else [ClientErased(client_id=client.id, **cause.fields())]


def refuse_hidden(client: ClientRecord) -> None:
    """Return if the client can be seen.

    Raises:
        NotFound: it cannot.
    """
    if not client.is_visible:
        raise NotFound("there is no such client")
