"""What can happen to a tenant. Its stream is `tenant:<id>`, and the events are its own."""

from domain.events import Event


class TenantCreated(Event):
    """A tenant was created. `name_hash` is the content that names it."""

    NAME = "tenant.created"

    name_hash: str


class TenantDeleted(Event):
    """Nobody acts in the tenant any more. What was made in it stays."""

    NAME = "tenant.deleted"


TenantEvent = TenantCreated | TenantDeleted
EVENTS = (TenantCreated, TenantDeleted)
