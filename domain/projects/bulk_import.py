"""The import of many projects: all of them, or none."""

from collections.abc import Iterator

from domain.bulk_imports import ImportedRecords, ImportTable
from domain.csv_tables import RowFault, refuse_faults
from domain.errors import Invalid
from domain.events import Cause
from domain.ids import random_id
from domain.integer_ids import IntegerIds
from domain.ledger import Change, Ledger
from domain.projects import aggregate
from domain.projects.aggregate import refuse_unknown, stream
from domain.projects.commands import ProjectDraft
from domain.projects.ports import KnownRecords


class ProjectImport:
    """Creates projects in one append, so that all of them become visible, or none exists."""

    def __init__(self, ledger: Ledger, ids: IntegerIds, *, clients: KnownRecords, talents: KnownRecords) -> None:
        self._ledger = ledger
        self._ids = ids
        self._clients = clients
        self._talents = talents

    def run(self, table: ImportTable[ProjectDraft], cause: Cause, *, key: str | None) -> ImportedRecords:
        """Create a project for each row, unless there are faults; with a key, a repeat changes nothing.

        Raises:
            domain.errors.Invalid: a row has a fault, or an unknown client or member.
        """
        table.refuse_empty()
        first_id = self._ids.reserve(cause.tenant_id, "project", size=len(table.rows), key=key)
        if not self._ledger.read(stream(cause.tenant_id, first_id)):
            refuse_faults([*table.faults, *self._faults(table, cause.tenant_id)])
            changes, documents = [], []
            for project_id, row in enumerate(table.rows, first_id):
                own = stream(cause.tenant_id, project_id)
                document = row.draft.texts.as_content(own)
                changes.append(Change(own, 0, aggregate.create(project_id, document.hash, row.draft.plan, cause)))
                documents.append(document)
            self._ledger.append(*changes, key=f"project.import:{key or random_id('import')}", content=documents)
        return ImportedRecords(first_id, len(table.rows))

    def _faults(self, table: ImportTable[ProjectDraft], tenant_id: str) -> Iterator[RowFault]:
        plans = [(row.number, row.draft.plan) for row in table.rows]
        clients = self._clients.existing(tenant_id, list({plan.client_id for _, plan in plans if plan.client_id}))
        talents = self._talents.existing(tenant_id, list({each for _, plan in plans for each in plan.members}))
        for number, plan in plans:
            try:
                plan.refuse_wrong_dates()
                refuse_unknown("client_id", [plan.client_id] if plan.client_id else [], clients)
                refuse_unknown("members", plan.members, talents)
            except Invalid as refused:
                yield RowFault(number, str(refused.details["field"]), str(refused.details["reason"]))
