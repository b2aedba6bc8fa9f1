"""The import of many projects: all of them, or none."""

from collections.abc import Iterator

from domain.content import Content
from domain.errors import Invalid
from domain.events import Cause
from domain.ids import random_id
from domain.ledger import Change, Ledger
from domain.projects import aggregate
from domain.projects.aggregate import refuse_unknown, stream
from domain.projects.commands import ProjectDraft
from domain.projects.ports import KnownRecords
from domain.records.bulk_imports import ImportedRecords, ImportRow, ImportTable
from domain.records.csv_tables import RowFault, refuse_faults
from domain.records.integer_ids import IntegerIds
from domain.records.repeats import is_repeat


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
        once = f"project.import:{key or random_id('import')}"
        faults = [*table.faults, *_date_faults(table)]
        if faults or not is_repeat(self._ledger, _creation(first_id, table.rows[0], cause)[0], once):
            refuse_faults([*faults, *self._unknown(table, cause.tenant_id)])
            created = [_creation(each, row, cause) for each, row in enumerate(table.rows, first_id)]
            documents = [document for _, document in created]
            self._ledger.append(*(change for change, _ in created), key=once, content=documents)
        return ImportedRecords(first_id, len(table.rows))

    def _unknown(self, table: ImportTable[ProjectDraft], tenant_id: str) -> Iterator[RowFault]:
        """Yield a fault for each row that names an unknown client or member."""
        plans = [(row.number, row.draft.plan) for row in table.rows]
        clients = self._clients.find_existing(tenant_id, list({plan.client_id for _, plan in plans if plan.client_id}))
        talents = self._talents.find_existing(tenant_id, list({each for _, plan in plans for each in plan.members}))
        for number, plan in plans:
            try:
                refuse_unknown("client_id", [plan.client_id] if plan.client_id else [], clients)
                refuse_unknown("members", plan.members, talents)
            except Invalid as refused:
                yield _fault(number, refused)


def _date_faults(table: ImportTable[ProjectDraft]) -> Iterator[RowFault]:
    for row in table.rows:
        try:
            row.draft.plan.refuse_wrong_dates()
        except Invalid as refused:
            yield _fault(row.number, refused)


def _fault(number: int, refused: Invalid) -> RowFault:
    return RowFault(number, str(refused.details["field"]), str(refused.details["reason"]))


def _creation(project_id: int, row: ImportRow[ProjectDraft], cause: Cause) -> tuple[Change, Content]:
    own = stream(cause.tenant_id, project_id)
    document = row.draft.texts.as_content(own)
    return Change(own, 0, aggregate.create(project_id, document.hash, row.draft.plan, cause)), document
