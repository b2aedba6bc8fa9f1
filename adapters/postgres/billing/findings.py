"""Findings of reconciliations."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from adapters.postgres.ledger.pool import Database, connect, translate_database_errors
from domain.costs.reconciliation.findings import Amounts, Finding, Outcome
from domain.costs.reconciliation.ports import FindingPage

_BATCH = 2_000
_PLAIN = ("outcome", "line", "call_id", "attempt", "provider_call_id", "at", "model", "key_id", "state", "detail")
_AMOUNTS = ("requests", "prompt_tokens", "completion_tokens", "cost")
_COLUMNS = ", ".join((*_PLAIN, *(f"{side}_{name}" for side in ("billed", "booked") for name in _AMOUNTS)))
_REMOVE = b"DELETE FROM reconciliation_findings WHERE reconciliation_id = %s"
_COPY = f"COPY reconciliation_findings (tenant_id, reconciliation_id, n, {_COLUMNS}) FROM STDIN"
_WHERE = """
    WHERE reconciliation_id = %(id)s AND (%(outcomes)s::text[] IS NULL OR outcome = ANY(%(outcomes)s))
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM reconciliation_findings {_WHERE} ORDER BY line, n OFFSET %(skip)s LIMIT %(limit)s
"""  # noqa: S608  (column names)
_COUNT = f"SELECT count(*) FROM reconciliation_findings {_WHERE}"  # noqa: S608  (conditions of this module)


class PostgresFindings:
    """`domain.costs.reconciliation.ports.FindingStore` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def replace(self, tenant_id: str, reconciliation_id: str, findings: Iterable[Finding]) -> None:
        # a connection of its own: the findings come as fast as the ledger is read
        with translate_database_errors(), connect(self._database.dsn) as connection, connection.transaction():
            connection.execute(_REMOVE, (reconciliation_id,))
            with connection.cursor() as cursor, cursor.copy(_COPY.encode()) as copy:
                for n, finding in enumerate(findings, 1):
                    copy.write_row((tenant_id, reconciliation_id, n, *_to_values(finding)))

    def page(self, reconciliation_id: str, outcome: Outcome | None, *, skip: int, limit: int) -> FindingPage:
        values = {"id": reconciliation_id, "outcomes": [outcome] if outcome else None, "skip": skip, "limit": limit}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE.encode(), values).fetchall()
            total = connection.execute(_COUNT.encode(), values).fetchone()
        return FindingPage([_to_finding(row) for row in rows], total[0] if total else 0)

    def batches(self, reconciliation_id: str, outcomes: Sequence[Outcome]) -> Iterator[list[Finding]]:
        values: dict[str, Any] = {"id": reconciliation_id, "outcomes": list(outcomes) or None, "limit": _BATCH}
        skip = 0
        while True:
            with self._database.connection() as connection:
                rows = connection.execute(_PAGE.encode(), {**values, "skip": skip}).fetchall()
            yield [_to_finding(row) for row in rows]
            if len(rows) < _BATCH:
                return
            skip += _BATCH


def _to_values(finding: Finding) -> list[object]:
    amounts = [getattr(side, name) for side in (finding.billed, finding.booked) for name in _AMOUNTS]
    return [*(getattr(finding, name) for name in _PLAIN), *amounts]


def _to_finding(row: tuple[Any, ...]) -> Finding:
    plain, billed, booked = row[: len(_PLAIN)], row[len(_PLAIN) : -len(_AMOUNTS)], row[-len(_AMOUNTS) :]
    return Finding(**dict(zip(_PLAIN, plain, strict=True)), billed=Amounts(*billed), booked=Amounts(*booked))
