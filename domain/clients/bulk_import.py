"""The import of many clients: all of them, or none."""

from domain.clients import aggregate
from domain.clients.aggregate import stream
from domain.clients.commands import ClientDraft
from domain.content import Content
from domain.events import Cause
from domain.ids import random_id
from domain.ledger import Change, Ledger
from domain.records.bulk_imports import ImportedRecords, ImportRow, ImportTable
from domain.records.csv_tables import refuse_faults
from domain.records.integer_ids import IntegerIds
from domain.records.repeats import is_repeat


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
        once = f"client.import:{key or random_id('import')}"
        if not is_repeat(self._ledger, _creation(first_id, table.rows[0], cause)[0], once):
            created = [_creation(each, row, cause) for each, row in enumerate(table.rows, first_id)]
            documents = [document for _, document in created]
            self._ledger.append(*(change for change, _ in created), key=once, content=documents)
        return ImportedRecords(first_id, len(table.rows))


def _creation(client_id: int, row: ImportRow[ClientDraft], cause: Cause) -> tuple[Change, Content]:
    own = stream(cause.tenant_id, client_id)
    document = row.draft.profile.as_content(own)
    return Change(own, 0, aggregate.create(client_id, document.hash, row.draft.status, cause)), document
