"""Commands on reconciliations, through the ledger."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256

from domain.costs.projection import CallRow
from domain.costs.reconciliation import aggregate
from domain.costs.reconciliation.aggregate import Reconciliation, Reconciliations
from domain.costs.reconciliation.calls import CallJudge
from domain.costs.reconciliation.events import InvoiceReconciled, Source
from domain.costs.reconciliation.findings import Finding, Terms
from domain.costs.reconciliation.lines import InvoiceLine, UnreadableLine
from domain.costs.reconciliation.ports import BookedCalls, FindingStore
from domain.costs.reconciliation.sums import SumJudge
from domain.events import Cause, Event
from domain.ids import derived_hex, random_id
from domain.ledger import Change, Ledger, retry_on_conflict

Line = InvoiceLine | UnreadableLine
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice of a provider for the days `first` to `last`, and the terms of its comparison."""

    provider: str
    first: date
    last: date
    source: Source
    lines: Sequence[Line]
    hash: str
    all_tenants: bool = False
    models: tuple[str, ...] = ()
    tolerance_usd: Decimal = ZERO
    tolerance_share: Decimal = ZERO
    delay_s: int = 0

    @property
    def names_calls(self) -> bool:
        """Return True if a line names a call: then all have to."""
        return any(line.call is not None for line in self.lines)

    @property
    def billed_cost(self) -> Decimal:
        return sum((line.cost for line in self.lines if isinstance(line, InvoiceLine) and line.cost), ZERO)


@dataclass(slots=True)
class _Tally:
    """Counts and sums what streams through."""

    counts: Counter[str] = field(default_factory=Counter)
    cost: Decimal = ZERO
    open_cost: Decimal = ZERO
    digest: list[str] = field(default_factory=list)

    def note_calls(self, batches: Iterable[list[CallRow]]) -> Iterator[list[CallRow]]:
        for batch in batches:
            self.cost += sum((row.cost for row in batch), ZERO)
            self.open_cost += sum((row.worst_case for row in batch if row.state in {"reserved", "unknown"}), ZERO)
            yield batch

    def note_findings(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        digest = sha256()
        for finding in findings:
            self.counts[finding.outcome] += 1
            digest.update(f"{json.dumps(asdict(finding), default=str)}\n".encode())
            yield finding
        self.digest.append(digest.hexdigest())


class ReconciliationCommands:
    """Compares invoices with the ledger, and closes their periods.

    All commands raise `domain.errors.Unavailable` where the ledger cannot be reached.
    """

    def __init__(self, ledger: Ledger, calls: BookedCalls, store: FindingStore) -> None:
        self._ledger = ledger
        self._calls = calls
        self._store = store

    def all(self, tenant_id: str) -> Reconciliations:
        """Return the reconciliations of a tenant."""
        return aggregate.load(self._ledger.read(aggregate.stream(tenant_id)))

    def record(self, invoice: Invoice, cause: Cause, *, key: str | None) -> Reconciliation:
        """Compare an invoice with the ledger, and record the result; the same key does it once.

        Raises:
            Conflict: a day of its period is locked.
        """
        name = f"reconciliation_{derived_hex('reconciliation', key)}" if key else random_id("reconciliation")
        known = self.all(cause.tenant_id)
        if done := known.by_id.get(name):
            return done
        known.refuse_locked(invoice.provider, invoice.first, invoice.last)
        report = self._compare(name, invoice, cause)
        return self._append(cause.tenant_id, name, lambda state: aggregate.record(state, report))

    def lock(self, reconciliation_id: str, cause: Cause) -> Reconciliation:
        """Lock the period of a reconciliation.

        Raises:
            NotFound: there is no such reconciliation.
            Conflict: a day of its period is locked by another one.
        """
        return self._append(
            cause.tenant_id, reconciliation_id, lambda state: aggregate.lock(state, reconciliation_id, cause)
        )

    def _append(
        self, tenant_id: str, reconciliation_id: str, decide: Callable[[Reconciliations], list[Event]]
    ) -> Reconciliation:
        def write() -> Reconciliation:
            state = self.all(tenant_id)
            events = decide(state)
            if events:
                change = Change(aggregate.stream(tenant_id), state.version, events)
                self._ledger.append(change, key=random_id("change"))
            return self.all(tenant_id).find(reconciliation_id)

        return retry_on_conflict(write)

    def _compare(self, name: str, invoice: Invoice, cause: Cause) -> InvoiceReconciled:
        tenant_id = None if invoice.all_tenants else cause.tenant_id
        judged_before = cause.at - timedelta(seconds=invoice.delay_s)
        tally = _Tally()
        findings = self._judge(invoice, tenant_id, judged_before, tally)
        self._store.replace(cause.tenant_id, name, tally.note_findings(findings))
        return InvoiceReconciled(
            reconciliation_id=name,
            provider=invoice.provider,
            first=invoice.first,
            last=invoice.last,
            source=invoice.source,
            basis="calls" if invoice.names_calls else "sums",
            all_tenants=invoice.all_tenants,
            models=invoice.models,
            tolerance_usd=invoice.tolerance_usd,
            tolerance_share=invoice.tolerance_share,
            delay_s=invoice.delay_s,
            judged_before=judged_before,
            lines=len(invoice.lines),
            invoice_hash=invoice.hash,
            findings_hash=tally.digest[0],
            counts=dict(sorted(tally.counts.items())),
            billed_cost=invoice.billed_cost,
            ledger_cost=tally.cost,
            open_cost=tally.open_cost,
            **cause.fields(),
        )

    def _judge(
        self, invoice: Invoice, tenant_id: str | None, judged_before: datetime, tally: _Tally
    ) -> Iterator[Finding]:
        terms = Terms(
            invoice.first,
            invoice.last,
            invoice.tolerance_usd,
            invoice.tolerance_share,
            judged_before,
            frozenset(invoice.models),
            self._calls.models(tenant_id),
        )
        rows = tally.note_calls(self._calls.batches(tenant_id, invoice.first, invoice.last))
        if invoice.names_calls:
            return CallJudge(invoice.lines, terms).judge(rows, lambda calls: self._calls.by_key(tenant_id, calls))
        return SumJudge(invoice.lines, terms).judge(rows)
