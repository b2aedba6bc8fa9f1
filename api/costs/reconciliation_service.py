"""Reconciliations: from a body to an invoice, and the findings as a table."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

from api.costs.reconciliation_schemas import InvoiceTerms, NewReconciliation
from api.http.request_context import RequestContext
from domain.costs.reconciliation.aggregate import Reconciliation
from domain.costs.reconciliation.application import ReconciliationApplier
from domain.costs.reconciliation.commands import Invoice, Line, ReconciliationCommands
from domain.costs.reconciliation.events import Source
from domain.costs.reconciliation.findings import Amounts, Finding
from domain.costs.reconciliation.lines import UnreadableLine, parse_line
from domain.costs.reconciliation.openai import parse_export
from domain.costs.reconciliation.ports import FindingStore
from domain.costs.reconciliation.tables import parse_table
from domain.errors import Invalid
from domain.records.csv_tables import write_csv

_PLACES = ("outcome", "line", "call_id", "attempt", "provider_call_id", "at", "model", "key_id", "state")
_AMOUNTS = ("requests", "prompt_tokens", "completion_tokens", "cost")
_COLUMNS = (*_PLACES, *(f"{side}_{name}" for side in ("billed", "booked") for name in _AMOUNTS), "detail")


@dataclass(frozen=True, slots=True)
class ReconciliationService:
    """Compares invoices with the ledger, for requests."""

    commands: ReconciliationCommands
    applier: ReconciliationApplier
    store: FindingStore
    now: Callable[[], datetime]

    def record(self, body: NewReconciliation, request: RequestContext, key: str | None) -> Reconciliation:
        """Compare the invoice of a JSON body.

        Raises:
            Invalid: it has no line, or the period ends before it begins.
            Conflict: a day of its period is locked.
        """
        if body.source == "lines":
            lines = [_parse_item(number, item) for number, item in enumerate(body.lines, 1)]
        else:
            lines = list(parse_export(body.source, body.data))
        return self._record(body, body.source, lines, request, key)

    def record_table(self, terms: InvoiceTerms, request: RequestContext, key: str | None) -> Reconciliation:
        """Compare the invoice of a CSV body; it raises as `record`."""
        text = request.json if isinstance(request.json, str) else ""
        return self._record(terms, "lines", list(parse_table(text)), request, key)

    def _record(
        self, terms: InvoiceTerms, source: Source, lines: list[Line], request: RequestContext, key: str | None
    ) -> Reconciliation:
        if terms.first > terms.last:
            raise Invalid("the period ends before it begins", field="from", reason=f"{terms.first} is after the end")
        if not lines:
            raise Invalid("body: the invoice has no lines", field="body", reason="no lines")
        digest = sha256(request.body).hexdigest()
        invoice = Invoice(
            provider=terms.provider,
            first=terms.first,
            last=terms.last,
            source=source,
            lines=lines,
            hash=digest,
            all_tenants=terms.all_tenants,
            models=tuple(sorted(set(terms.models))),
            tolerance_usd=terms.tolerance_usd,
            tolerance_share=terms.tolerance_share,
            delay_s=terms.delay_s,
        )
        cause = request.cause(self.now())
        # a refused invoice may be repeated, corrected, under its key: that is other work
        found = self.commands.record(invoice, cause, key=key and f"{key}:{digest}")
        return self.applier.apply(found.report.reconciliation_id, cause) if terms.apply else found

    def apply(self, reconciliation_id: str, request: RequestContext) -> Reconciliation:
        """End the unknown attempts that the invoice names."""
        return self.applier.apply(reconciliation_id, request.cause(self.now()))

    def lock(self, reconciliation_id: str, request: RequestContext) -> Reconciliation:
        """Lock the period."""
        return self.commands.lock(reconciliation_id, request.cause(self.now()))


def _parse_item(number: int, item: object) -> Line:
    return parse_line(number, item) if isinstance(item, dict) else UnreadableLine(number, "is not an object")


def to_csv(batches: Iterable[list[Finding]]) -> Iterator[str]:
    """Yield a header line, and the findings. Amounts have all their digits."""
    return write_csv(_COLUMNS, (_cells(finding) for batch in batches for finding in batch))


def _cells(finding: Finding) -> list[object]:
    places = [_plain(getattr(finding, name)) for name in _PLACES]
    return [*places, *_amounts(finding.billed), *_amounts(finding.booked), finding.detail]


def _amounts(amounts: Amounts) -> list[object]:
    return [_plain(getattr(amounts, name)) for name in _AMOUNTS]


def _plain(value: object) -> object:
    match value:
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case _:
            return value
