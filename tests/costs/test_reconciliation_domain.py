"""Rules of reconciliations: which attempts they end, how names of models agree, and what a lock refuses."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from adapters.postgres.projections.rows import RowsInMemory
from domain.costs.aggregate import Call, end, load, lose, reconcile, reserve
from domain.costs.events import CallReconciled, CallSettled
from domain.costs.projection import CallRow, CostsProjection
from domain.costs.reconciliation import aggregate
from domain.costs.reconciliation.events import InvoiceReconciled
from domain.costs.reconciliation.findings import Amounts, Terms, find_model
from domain.costs.reconciliation.lines import InvoiceLine, UnreadableLine, parse_line
from domain.errors import Conflict, NotFound
from domain.events import Cause, Event, RecordedEvent
from tests.costs.test_domain import INTENT, settled

AT = datetime(2026, 11, 1, tzinfo=UTC)
CAUSE = Cause("key_1", "req_1", AT, "default")


def reconciled(**fields: Any) -> CallReconciled:
    known = {"line": 7, "charged": True, "prompt_tokens": 40, "completion_tokens": 7, "cost": Decimal("0.003")}
    names = {"call_id": "call-1", "attempt": 1, "reconciliation_id": "reconciliation_1"}
    return CallReconciled(**{**names, **known, **fields}, **CAUSE.fields())


def lost_call() -> list[Event]:
    events = reserve(Call(), INTENT, CAUSE)
    return [*events, *lose(load(events), 1, "overdue", CAUSE)]


def report(**fields: Any) -> InvoiceReconciled:
    known: dict[str, Any] = {
        "reconciliation_id": "reconciliation_1",
        "provider": "openai",
        "first": date(2026, 10, 1),
        "last": date(2026, 10, 31),
        "source": "lines",
        "basis": "calls",
        "all_tenants": False,
        "models": (),
        "tolerance_usd": Decimal(0),
        "tolerance_share": Decimal(0),
        "delay_s": 0,
        "judged_before": AT,
        "lines": 1,
        "invoice_hash": "h",
        "findings_hash": "h",
        "counts": {"matched": 3, "duplicate": 2, "unknown_open": 1},
        "billed_cost": Decimal(1),
        "ledger_cost": Decimal(1),
        "open_cost": Decimal(0),
    }
    return InvoiceReconciled(**{**known, **fields}, **CAUSE.fields())


def test_only_an_unknown_attempt_is_ended_by_an_invoice_and_once() -> None:
    events = lost_call()
    assert reconcile(load(events[:1]), reconciled()) == []
    ended = reconcile(load(events), reconciled())
    assert ended == [reconciled()]
    call = load([*events, *ended])
    assert dict(call.attempts) == {1: "settled"}
    assert reconcile(call, reconciled(cost=Decimal(9))) == []
    assert dict(load([*events, reconciled(charged=False)]).attempts) == {1: "failed"}


def test_a_reply_that_comes_after_the_invoice_stands_at_the_cost_of_the_invoice() -> None:
    events = [*lost_call(), reconciled()]
    late = end(load(events), settled(1).model_copy(update={"cost": Decimal("0.9")}))
    assert isinstance(late[0], CallSettled)
    assert (late[0].stands, late[0].cost) == (True, Decimal("0.003"))
    call = load([*events, *late])
    assert call.reply is not None
    assert end(call, settled(1)) == []
    rows = RowsInMemory()
    for position, event in enumerate([*events, *late], 1):
        CostsProjection().project(RecordedEvent(position, "call:call-1", position, event), rows)
    row = rows.get(CallRow, "call-1", 1)
    assert row is not None
    assert (row.state, row.cost, row.price_version) == ("settled", Decimal("0.003"), "invoice")


@pytest.mark.parametrize(
    ("billed", "found"),
    [
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-audio", None),
        ("gpt-4", None),
    ],
)
def test_a_snapshot_is_billed_under_the_name_of_its_model(billed: str, found: str | None) -> None:
    assert find_model(billed, ["gpt-4o", "gpt-4o-mini"]) == found


def test_amounts_agree_within_either_tolerance() -> None:
    terms = Terms(date(2026, 1, 1), date(2026, 1, 1), Decimal("0.01"), Decimal("0.1"), AT, frozenset(), ())
    assert terms.difference(Amounts(cost=Decimal("0.02")), Amounts(cost=Decimal("0.01"))) is None
    assert terms.difference(Amounts(cost=Decimal(11)), Amounts(cost=Decimal(10))) is None
    assert terms.difference(Amounts(cost=Decimal("11.01")), Amounts(cost=Decimal(10))) == "cost_differs"
    assert terms.difference(Amounts(1, 111, 0), Amounts(1, 100, 0)) == "tokens_differ"
    assert terms.difference(Amounts(2, 100, 0), Amounts(1, 100, 0)) == "requests_differ"
    assert terms.difference(Amounts(), Amounts(1, 100, 0, Decimal(1))) is None


def test_a_lock_refuses_every_period_that_overlaps_for_its_provider() -> None:
    state = aggregate.load([report()])
    assert state.find("reconciliation_1").differences == 2
    locked = aggregate.lock(state, "reconciliation_1", CAUSE)
    state = aggregate.load([report(), *locked])
    assert aggregate.lock(state, "reconciliation_1", CAUSE) == []
    other = {"reconciliation_id": "reconciliation_2"}
    with pytest.raises(Conflict):
        aggregate.record(state, report(**other, first=date(2026, 10, 31), last=date(2026, 11, 30)))
    with pytest.raises(Conflict):
        aggregate.start_application(state, "reconciliation_1")
    with pytest.raises(NotFound):
        aggregate.lock(state, "reconciliation_3", CAUSE)
    assert aggregate.record(state, report(**other, first=date(2026, 11, 1), last=date(2026, 11, 30)))
    assert aggregate.record(state, report(**other, provider="another"))


def test_a_line_says_what_it_is_about_or_the_reason_that_it_cannot_be_read() -> None:
    line = parse_line(3, {"call_id": "a.b.2", "cost": 0.25, "prompt_tokens": "12.0", "at": 1_790_000_000, "model": ""})
    assert isinstance(line, InvoiceLine)
    assert (line.call, line.cost, line.tokens, line.model) == (("a.b", 2), Decimal("0.25"), 12, None)
    assert line.at == datetime.fromtimestamp(1_790_000_000, UTC)
    unreadable = parse_line(4, {"call_id": "a.1", "cost": "1,5"})
    assert isinstance(unreadable, UnreadableLine)
    assert unreadable.call == ("a", 1)
