"""Events of a client. Its stream is `client:<id>`, `client~<tenant>:<id>` for tenants other than `default`.

No event contains a text: `profile_hash` names a content whose owner is the stream's name.
"""

from domain.events import Event


class ClientCreated(Event):
    """A client was created. `status` is `active` or `inactive`."""

    NAME = "client.created"

    client_id: int
    profile_hash: str
    status: str


class ClientUpdated(Event):
    """The fields named in `fields` changed. The other values are those that are valid from now on."""

    NAME = "client.updated"

    client_id: int
    fields: tuple[str, ...]
    profile_hash: str
    status: str


class ClientDeleted(Event):
    """The client is hidden from now on. Its history remains."""

    NAME = "client.deleted"

    client_id: int


class ClientErased(Event):
    """All texts about the client are removed, in every version. It is hidden from now on."""

    NAME = "client.erased"

    client_id: int


ClientEvent = ClientCreated | ClientUpdated | ClientDeleted | ClientErased
EVENTS = (ClientCreated, ClientUpdated, ClientDeleted, ClientErased)
