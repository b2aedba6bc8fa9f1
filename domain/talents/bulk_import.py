"""The import of many talents: all of them, or none."""

from collections.abc import Sequence

from domain.content import Content
from domain.events import Cause
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.records.bulk_imports import ImportedRecords, ImportRow, ImportTable
from domain.records.csv_tables import RowFault, refuse_faults
from domain.records.integer_ids import IntegerIds, TenantSecrets
from domain.records.repeats import is_repeat
from domain.talents import aggregate, emails
from domain.talents.aggregate import TalentValues, stream
from domain.talents.commands import TalentDraft


class TalentImport:
    """Creates talents in one append, so that all of them become visible, or none exists."""

    def __init__(self, ledger: Ledger, ids: IntegerIds, secrets: TenantSecrets) -> None:
        self._ledger = ledger
        self._ids = ids
        self._secrets = secrets

    def run(self, table: ImportTable[TalentDraft], cause: Cause, *, key: str | None) -> ImportedRecords:
        """Create a talent for each row, unless there are faults already; with a key, a repeat changes nothing.

        Raises:
            Invalid: a row has a fault, or an e-mail address that another row or talent has.
            VersionConflict: the addresses were claimed by others again and again meanwhile.
        """
        table.refuse_empty()
        tenant_id, rows, count = cause.tenant_id, table.rows, len(table.rows)
        first_id = self._ids.reserve(tenant_id, "talent", size=count, key=key)
        secret = self._secrets.secret(tenant_id, emails.PURPOSE)
        keys = [emails.email_key(secret, row.draft.profile.email) for row in rows]
        once = f"talent.import:{key or random_id('import')}"

        def write() -> ImportedRecords:
            if not is_repeat(self._ledger, _creation(first_id, rows[0], keys[0], cause)[0], once):
                claims = self._claims(table, keys, tenant_id)
                changes, documents = _changes(rows, keys, claims, first_id, cause)
                self._ledger.append(*changes, key=once, content=documents)
            return ImportedRecords(first_id, count)

        return retry_on_conflict(write)

    def _claims(self, table: ImportTable[TalentDraft], keys: Sequence[str], tenant_id: str) -> dict[str, int]:
        """Return the versions of the streams of the addresses, all of which are free.

        Raises:
            Invalid: there are faults, or an address is not free.
        """
        rows = table.rows
        streams = {emails.email_stream(tenant_id, key): row for key, row in zip(keys, rows, strict=True)}
        claims = self._ledger.read_many(list(streams))
        owners = {name: emails.owner_of(events) for name, events in claims.items()}
        taken = [
            RowFault(streams[name].number, "email", f"talent {owner} has this e-mail address")
            for name, owner in owners.items()
            if owner is not None
        ]
        refuse_faults([*table.faults, *_find_repeats(rows, keys), *taken])
        return {name: len(events) for name, events in claims.items()}


def _find_repeats(rows: Sequence[ImportRow[TalentDraft]], keys: Sequence[str]) -> list[RowFault]:
    """Return a fault for each row with the address of an earlier row."""
    first: dict[str, int] = {}
    faults = []
    for row, key in zip(rows, keys, strict=True):
        earlier = first.setdefault(key, row.number)
        if earlier != row.number:
            faults.append(RowFault(row.number, "email", f"row {earlier} has this e-mail address"))
    return faults


def _changes(
    rows: Sequence[ImportRow[TalentDraft]], keys: Sequence[str], claims: dict[str, int], first_id: int, cause: Cause
) -> tuple[list[Change], list[Content]]:
    changes, documents = [], []
    for talent_id, (row, key) in enumerate(zip(rows, keys, strict=True), first_id):
        created, document = _creation(talent_id, row, key, cause)
        expected = claims.get(emails.email_stream(cause.tenant_id, key), 0)
        changes += [created, emails.claim(talent_id, key, expected, cause)]
        documents.append(document)
    return changes, documents


def _creation(talent_id: int, row: ImportRow[TalentDraft], key: str, cause: Cause) -> tuple[Change, Content]:
    own = stream(cause.tenant_id, talent_id)
    document = row.draft.profile.as_content(own)
    values = TalentValues(document.hash, key, row.draft.status)
    return Change(own, 0, aggregate.create(talent_id, values, cause)), document
