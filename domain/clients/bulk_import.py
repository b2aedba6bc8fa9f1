"""The import of many clients: all of them, or none."""

from domain.bulk_imports import ImportedRecords, ImportTable
from domain.clients import aggregate
from domain.clients.aggregate import stream
from domain.clients.commands import ClientDraft
from domain.csv_tables import refuse_faults
from domain.events import Cause
from domain.ids import random_id
from domain.integer_ids import IntegerIds
from domain.ledger import Change, Ledger


class ClientImport:
    """Creates clients in one append, so that all of them become visible, or none exists."""

    def __init__(self, ledger: Ledger, ids: IntegerIds) -> None:
        self._ledger = ledger
        self._ids = ids

    def run(self, table: ImportTable[ClientDraft], cause: Cause, *, key: str | None) -> ImportedRecords:
        """Create a client for each row, unless there are faults; with a key, a repeat changes nothing.

        Raises:
            domain.errors.Invalid: a row has a fault.
        """
        table.refuse_empty()
        refuse_faults(table.faults)
        first_id = self._ids.reserve(cause.tenant_id, "client", size=len(table.rows), key=key)
        if not self._ledger.read(stream(cause.tenant_id, first_id)):
            changes, documents = [], []
            for client_id, row in enumerate(table.rows, first_id):
                own = stream(cause.tenant_id, client_id)
                document = row.draft.profile.as_content(own)
                changes.append(Change(own, 0, aggregate.create(client_id, document.hash, row.draft.status, cause)))
                documents.append(document)
            self._ledger.append(*changes, key=f"client.import:{key or random_id('import')}", content=documents)
        return ImportedRecords(first_id, len(table.rows))
