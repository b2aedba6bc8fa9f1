"""The services that the routes of clients call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from api.clients.csv_documents import from_csv
from api.http.dependencies import Positions
from api.http.request_context import RequestContext
from api.tables.csv_tables import ImportResult, finish_import, sent_table
from domain.clients.bulk_import import ClientImport
from domain.clients.commands import ClientCommands
from domain.clients.past import ClientPast
from domain.clients.ports import ClientReads
from domain.events import Cause
from domain.records.bulk_imports import ImportedRecords


@dataclass(frozen=True, slots=True)
class ClientService:
    """Commands, past and views of clients."""

    commands: ClientCommands
    past: ClientPast
    bulk: ClientImport
    positions: Positions
    clients: ClientReads
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Return the cause of a change: the caller, the request and the time."""
        return request.cause(self.now())

    async def import_csv(self, request: RequestContext, key: str | None) -> ImportResult:
        """Create the clients of the request's table, all or none.

        Raises:
            domain.errors.Invalid: a row is not valid.
        """
        sent, cause = sent_table(request, key), self.cause(request)

        def work() -> ImportedRecords:
            return self.bulk.run(from_csv(sent.text), cause, key=sent.key)

        return await finish_import(work, self.positions, "clients", request)
