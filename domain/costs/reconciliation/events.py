"""What can happen to the reconciliations of a tenant. All are in one stream."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from domain.events import Event

Basis = Literal["calls", "sums"]
Source = Literal["lines", "openai_usage", "openai_costs"]


class InvoiceReconciled(Event):
    """An invoice was compared with the ledger's calls of the days `first` to `last` (UTC, both included).

    `counts` are the findings by outcome. `invoice_hash` and `findings_hash` (SHA-256) are of the lines as sent and of
    the findings, which are stored apart. Calls reserved at `judged_before` or later were not judged.
    """

    NAME = "costs.invoice_reconciled"
    reconciliation_id: str
    provider: str
    first: date
    last: date
    source: Source
    basis: Basis
    all_tenants: bool
    models: tuple[str, ...]
    tolerance_usd: Decimal
    tolerance_share: Decimal
    delay_s: int
    judged_before: datetime
    lines: int
    invoice_hash: str
    findings_hash: str
    counts: Mapping[str, int]
    billed_cost: Decimal
    ledger_cost: Decimal
    open_cost: Decimal


class ReconciliationApplied(Event):
    """Unknown attempts that the invoice names were settled or recorded as failed.

    `unchanged` are those that were no longer unknown; `cost` is the sum of the settled ones.
    """

    NAME = "costs.reconciliation_applied"
    reconciliation_id: str
    settled: int
    failed: int
    unchanged: int
    cost: Decimal


class BillingPeriodLocked(Event):
    """The period of a reconciliation was closed: its provider's invoices of these days are reconciled no more."""

    NAME = "costs.billing_period_locked"
    reconciliation_id: str
    provider: str
    first: date
    last: date


EVENTS: tuple[type[Event], ...] = (InvoiceReconciled, ReconciliationApplied, BillingPeriodLocked)
