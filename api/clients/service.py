"""The services that the routes of clients call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from api.http.request_context import RequestContext
from domain.clients.commands import ClientCommands
from domain.clients.past import ClientPast
from domain.clients.ports import ClientReads
from domain.events import Cause


@dataclass(frozen=True, slots=True)
class ClientService:
    """Commands, past and views of clients."""

    commands: ClientCommands
    past: ClientPast
    clients: ClientReads
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Return the cause of a change: the caller, the request and the time."""
        return Cause(
            by=request.caller.id, because=request.request_id, at=self.now(), tenant_id=request.caller.tenant_id
        )
