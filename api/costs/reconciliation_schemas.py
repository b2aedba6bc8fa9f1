"""Bodies and responses of reconciliations."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from api.http.schemas import Body, Listing, Money, Timestamp, View
from domain.costs.reconciliation.aggregate import Reconciliation
from domain.costs.reconciliation.events import Basis, Source
from domain.costs.reconciliation.findings import Outcome
from domain.costs.reconciliation.lines import MOST_LINES

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
_MOST_DELAY = 90 * 24 * 3600


class InvoiceTerms(Body):
    """The terms of a comparison.

    Costs agree if they differ by `tolerance_usd` at most, or by `tolerance_share` of the ledger's; tokens and requests
    if they differ by `tolerance_share`. Calls of the last `delay_s` seconds are not judged yet. `models` limits the
    calls that have to be on the invoice. `all_tenants` compares the calls of all tenants.
    """

    provider: Name = Field(description="The provider that sent the invoice, such as `openai`.")
    first: date = Field(alias="from", description="First day of the period (UTC).")
    last: date = Field(alias="to", description="Last day of the period (UTC), inclusive.")
    tolerance_usd: Annotated[Decimal, Field(ge=0, le=1_000_000, max_digits=20)] = Decimal("0.000001")
    tolerance_share: Annotated[Decimal, Field(ge=0, le=1, max_digits=12)] = Decimal(0)
    delay_s: Annotated[int, Field(ge=0, le=_MOST_DELAY)] = 3600
    models: Annotated[list[Name], Field(max_length=200, default_factory=list)]
    all_tenants: bool = False
    apply: bool = Field(default=False, description="Settle unknown attempts that the invoice names, too.")


class NewReconciliation(InvoiceTerms):
    """An invoice: `lines`, or the `data` of OpenAI's export of usage or costs, all pages joined.

    A line is about one attempt, by `call_id` (`call_id.attempt`, which the provider got as `X-Client-Request-Id`) or
    `provider_call_id`; or about a sum, by `at`, `per` (`minute`, `hour`, `day`), and `model` and `key_id` if they are
    billed apart. It states `cost` (US dollars), `prompt_tokens`, `completion_tokens` or `requests`. A line that cannot
    be read is a finding, and refuses nothing.
    """

    source: Source = "lines"
    lines: Annotated[list[Any], Field(max_length=MOST_LINES, default_factory=list, description="Objects, from line 1.")]
    data: Annotated[list[Any], Field(max_length=MOST_LINES, default_factory=list, description="Buckets of OpenAI.")]


class AppliedView(View):
    """Attempts that were unknown before: `settled` with a `cost`, or `failed`. `unchanged` had ended meanwhile."""

    settled: int
    failed: int
    unchanged: int
    cost: Money
    at: Timestamp
    by: str


class ReconciliationView(View):
    """A comparison of an invoice with the ledger.

    `counts` are the findings by outcome, `differences` those that need a person. `billed_cost` is the sum of the
    readable lines, `ledger_cost` that of the period's calls (as far as their end is known), `open_cost` the worst case
    of the others. `findings_hash` is the SHA-256 of the findings.
    """

    id: str
    provider: str
    period_start: date
    period_end: date
    source: Source
    basis: Basis
    all_tenants: bool
    models: list[str]
    tolerance_usd: Decimal
    tolerance_share: Decimal
    delay_s: int
    judged_before: Timestamp
    lines: int
    counts: dict[str, int]
    differences: int
    billed_cost: Money
    ledger_cost: Money
    difference_cost: Money
    open_cost: Money
    invoice_hash: str
    findings_hash: str
    created_at: Timestamp
    created_by: str
    applied: AppliedView | None
    locked: bool
    locked_at: Timestamp | None
    locked_by: str | None

    @classmethod
    def of(cls, found: Reconciliation) -> "ReconciliationView":
        """Return the response for a reconciliation."""
        report, lock = found.report, found.locked
        fields = {name: getattr(report, name) for name in cls.model_fields if name in type(report).model_fields}
        return cls(
            **fields | {"models": list(report.models), "counts": dict(report.counts)},
            id=report.reconciliation_id,
            period_start=report.first,
            period_end=report.last,
            differences=found.differences,
            difference_cost=report.billed_cost - report.ledger_cost,
            created_at=report.at,
            created_by=report.by,
            applied=AppliedView.model_validate(found.applied) if found.applied else None,
            locked=lock is not None,
            locked_at=lock.at if lock else None,
            locked_by=lock.by if lock else None,
        )


class AmountsView(View):
    """What is billed or booked; null is not stated."""

    requests: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: Money | None


class FindingView(View):
    """The judgement on a line of the invoice, or on a call or sum of the ledger that no line names.

    `state` is the attempt's at the comparison.
    """

    outcome: Outcome
    line: int | None
    call_id: str | None
    attempt: int | None
    provider_call_id: str | None
    at: Timestamp | None
    model: str | None
    key_id: str | None
    state: str | None
    billed: AmountsView
    booked: AmountsView
    detail: str | None


class ReconciliationDetail(Listing):
    """A reconciliation, and a page of its findings in the order of the lines; those without a line come last."""

    reconciliation: ReconciliationView
    data: list[FindingView]


class ReconciliationList(Listing):
    """Reconciliations, newest first."""

    data: list[ReconciliationView]
