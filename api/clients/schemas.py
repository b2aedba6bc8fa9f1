"""Request and response models of clients."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.http.schemas import Body, Listing, Timestamp, View
from domain.clients import profile as fields
from domain.clients.commands import ClientDraft
from domain.clients.ports import ClientView
from domain.clients.profile import ClientProfile

_TEXTS = ConfigDict(str_strip_whitespace=True)


class NewClient(Body):
    """A client to create. Spaces around texts are removed."""

    model_config = _TEXTS

    name: fields.Name
    description: fields.Description | None = None
    contact_name: fields.Name | None = None
    contact_email: fields.Email | None = None
    status: fields.Status = "active"

    def draft(self) -> ClientDraft:
        """Return what the command creates."""
        profile = ClientProfile(self.name, self.description or None, self.contact_name, self.contact_email)
        return ClientDraft(profile, self.status)


def _absent() -> Any:
    return None


class ClientChanges(Body):
    """Changes to a client: fields left out stay; `null` removes a text other than the name."""

    model_config = _TEXTS

    name: fields.Name = Field(default_factory=_absent)
    description: fields.Description | None = Field(default_factory=_absent)
    contact_name: fields.Name | None = Field(default_factory=_absent)
    contact_email: fields.Email | None = Field(default_factory=_absent)
    status: fields.Status = Field(default_factory=_absent)

    def changes(self) -> dict[str, Any]:
        """Return the fields that change."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {**given, "description": given["description"] or None} if "description" in given else given


class Client(View):
    """A client. `version` counts every change. Texts are null after an erasure."""

    id: Annotated[int, Field(ge=1)]
    name: str | None
    description: str | None
    contact_name: str | None
    contact_email: str | None
    status: fields.Status
    created_at: Timestamp
    updated_at: Timestamp
    version: int


class ClientList(Listing):
    """Clients in the order of their ids."""

    data: list[Client]


def to_client(view: ClientView) -> Client:
    """Return the response for a client."""
    texts = {name: getattr(view.profile, name) if view.profile else None for name in fields.FIELDS}
    own = {name: getattr(view, name) for name in ("id", "status", "created_at", "updated_at", "version")}
    return Client.model_validate({**texts, **own})
