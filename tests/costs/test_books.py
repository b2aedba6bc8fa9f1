"""Budgets of runs on a real ledger: held in the same append as the call, whoever races."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent

from activities.costs.bookkeeping import CostLedger
from activities.costs.joint_append import Companion
from activities.costs.reservation import Reservation
from activities.costs.run_budget import RunBudgets
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.chat.model_port import ModelFailure, ModelReply, Usage
from domain.costs import aggregate, budget
from domain.costs.aggregate import CallIntent, SettledReply
from domain.costs.budget import RunBudget
from domain.costs.ports import Price
from domain.errors import OverBudget
from domain.events import Event
from domain.ledger import Ledger
from domain.registry import event_registry
from tests.costs.test_domain import INTENT

CENT = Decimal("0.01")
BUDGET = Decimal("0.05")
REPLY = ModelReply("Yes.", "stop", Usage(10, 2), model="some/model")
"""Costs 12 times a ten-thousandth."""
COST = Decimal("0.0012")
ALONE = Companion("turn:none", lambda _: [])


class TokenPrices:
    """A ten-thousandth of a dollar for each token."""

    def price(
        self,
        model: str,
        *,
        prompt_tokens: int,
        completion_tokens: int,
        cached_prompt_tokens: int = 0,
        cache_write_tokens: int = 0,
        at: datetime,
    ) -> Price:
        del model, cached_prompt_tokens, cache_write_tokens, at
        return Price(Decimal(prompt_tokens + completion_tokens) / 10_000, "tokens")


class Watched(LedgerRecorder):
    """Remembers what was read."""

    reads: list[str]

    def select_events(self, originator_id: Any, **bounds: Any) -> Sequence[StoredEvent]:
        self.reads.append(str(originator_id))
        return super().select_events(originator_id, **bounds)

    def select_stream(self, stream: str, after: int) -> Sequence[StoredEvent]:
        self.reads.append(stream)
        return super().select_stream(stream, after)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=8)
    database.open()
    yield database
    database.close()


@pytest.fixture
def recorder(database: Database) -> Watched:
    recorder = Watched(database)
    recorder.reads = []
    return recorder


@pytest.fixture
def ledger(recorder: Watched) -> Ledger:
    return Ledger(recorder, event_registry())


@pytest.fixture
def books(ledger: Ledger) -> CostLedger:
    return books_on(ledger)


def books_on(ledger: Ledger) -> CostLedger:
    return CostLedger(ledger, TokenPrices(), lambda: datetime.now(UTC))


def intent(number: int, limit: Decimal | None = BUDGET, worst_case: Decimal = CENT) -> CallIntent:
    root_id = None if limit is None else "task_1"
    return replace(INTENT, call_id=f"call-{number}", worst_case=worst_case, budget_usd=limit, root_id=root_id)


def reserved(books: CostLedger, number: int, *, untried: bool = True, **more: Any) -> Reservation:
    reservation = books.reserve(intent(number, **more), ALONE, "req_1", untried=untried)
    assert isinstance(reservation, Reservation)
    return reservation


def standing(ledger: Ledger) -> RunBudget:
    return RunBudgets(ledger).read("task_1")


def sums(ledger: Ledger) -> tuple[Decimal, Decimal]:
    now = standing(ledger)
    return now.spent, now.reserved


def failure(charge: Any, usage: Usage | None = None) -> ModelFailure:
    return ModelFailure("cut", "cut", charge=charge, permanent=False, usage=usage)


def test_a_reservation_moves_the_budget_and_its_end_settles_it(books: CostLedger, ledger: Ledger) -> None:
    reservation = reserved(books, 1)
    assert sums(ledger) == (0, CENT)
    books.settle(reservation, REPLY, ALONE, "req_1")
    assert sums(ledger) == (COST, 0)
    books.settle(reservation, REPLY, ALONE, "req_1")
    assert (sums(ledger), standing(ledger).version) == ((COST, 0), 2), "an end that is told twice counts once"


def test_what_does_not_fit_leaves_no_trace(books: CostLedger, ledger: Ledger) -> None:
    for number in range(5):
        reserved(books, number)
    head = ledger.head()
    with pytest.raises(OverBudget) as caught:
        reserved(books, 5)
    assert caught.value.details["reserved_usd"] == BUDGET
    assert (ledger.head(), ledger.read(aggregate.stream("call-5"))) == (head, [])


def test_a_retry_that_does_not_fit_leaves_the_attempt_before_it_open(books: CostLedger, ledger: Ledger) -> None:
    for number in range(5):
        reserved(books, number)
    with pytest.raises(OverBudget):
        reserved(books, 0, untried=False)
    assert aggregate.load(ledger.read(aggregate.stream("call-0"))).attempts == {1: "reserved"}


def test_a_settled_reply_is_given_again_though_the_budget_is_spent(books: CostLedger) -> None:
    books.settle(reserved(books, 1), REPLY, ALONE, "req_1")
    again = books.reserve(intent(1, COST), ALONE, "req_1", untried=True)
    assert isinstance(again, SettledReply)
    with pytest.raises(OverBudget):
        reserved(books, 2, limit=COST)


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (failure("none"), (0, 0)),
        (failure("partial", Usage(10, 0)), (Decimal("0.001"), 0)),
        (failure("possible"), (0, CENT)),
    ],
)
def test_a_failed_call_frees_what_it_cannot_have_cost(
    books: CostLedger, ledger: Ledger, failed: ModelFailure, expected: tuple[Decimal, Decimal]
) -> None:
    books.fail(reserved(books, 1), failed, "req_1")
    assert sums(ledger) == expected


def test_an_unknown_attempt_keeps_its_worst_case_until_a_late_reply_tells_its_cost(
    books: CostLedger, ledger: Ledger
) -> None:
    first = reserved(books, 1)
    second = reserved(books, 1, untried=False, worst_case=CENT * 2)
    assert sums(ledger) == (0, CENT * 3)
    books.settle(second, REPLY, ALONE, "req_1")
    assert sums(ledger) == (COST, CENT)
    books.settle(first, REPLY, ALONE, "req_1")
    assert sums(ledger) == (COST * 2, 0)


def test_an_overdue_reservation_is_held(books: CostLedger, ledger: Ledger) -> None:
    reserved(books, 1)
    assert books.lose_overdue("call-1", 1, "reconcile")
    assert sums(ledger) == (0, CENT)


def test_a_call_without_a_budget_reads_nothing_more(books: CostLedger, recorder: Watched) -> None:
    books.settle(reserved(books, 1, limit=None), REPLY, ALONE, "req_1")
    assert recorder.reads == []
    books.settle(reserved(books, 2), REPLY, ALONE, "req_1")
    assert recorder.reads == ["budget:task_1"] * 2


def test_200_reservations_that_race_pass_exactly_as_far_as_the_budget_goes(ledger: Ledger, database_url: str) -> None:
    """Half of them from a process beside this one, as far as the books can tell: nothing but the ledger joins them."""
    other = Database(database_url, size=8)
    other.open()
    two = (books_on(ledger), books_on(Ledger(LedgerRecorder(other), event_registry())))

    def attempt(number: int) -> Reservation | None:
        try:
            return reserved(two[number % 2], number, limit=CENT * 57 + CENT / 2)
        except OverBudget:
            return None

    with ThreadPoolExecutor(50) as threads:
        passed = [made for made in threads.map(attempt, range(200)) if made]
        assert len(passed) == 57
        assert sums(ledger) == (0, CENT * 57)
        list(threads.map(lambda made: two[made.attempt % 2].settle(made, REPLY, ALONE, "req_1"), passed))
    other.close()
    assert (sums(ledger), standing(ledger).version) == ((COST * 57, 0), 114)
    assert _calls(ledger, 200) == {"settled": 57}


def test_members_that_reserve_and_settle_side_by_side_never_overrun(ledger: Ledger) -> None:
    books, limit = books_on(ledger), CENT * 6

    def member(number: int) -> int:
        done = 0
        for step in range(8):
            try:
                made = reserved(books, number * 100 + step, limit=limit)
            except OverBudget:
                continue
            books.settle(made, REPLY, ALONE, "req_1")
            done += 1
        return done

    with ThreadPoolExecutor(20) as threads:
        done = sum(threads.map(member, range(20)))
    moved = ledger.read(budget.stream("task_1"))
    assert max(_held(event) for event in moved) <= limit
    assert sums(ledger) == (COST * done, 0)
    assert done > limit / CENT, "what is set free is used again"


def _held(event: Event) -> Decimal:
    now = budget.budget_after(1, event)
    return now.spent + now.reserved


def _calls(ledger: Ledger, upto: int) -> dict[str, int]:
    streams = ledger.read_many([aggregate.stream(f"call-{number}") for number in range(upto)])
    states = [state for events in streams.values() for state in aggregate.load(events).attempts.values()]
    return {state: states.count(state) for state in set(states)}
