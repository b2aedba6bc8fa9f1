"""What one run may cost: sums that hold whatever becomes of its calls, and a budget that is never overrun."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.costs import aggregate, budget
from domain.costs.aggregate import Call
from domain.costs.budget import RunBudget
from domain.costs.events import BudgetReserved, BudgetSettled, CallCut, CallFailed, CallLost, CallSettled
from domain.errors import OverBudget
from domain.events import Event
from tests.costs.test_domain import CAUSE, INTENT, cut, failed, settled

BOUNDED = replace(INTENT, budget_usd=Decimal("0.05"), root_id="task_1")


def standing(events: list[Event]) -> RunBudget:
    return budget.budget_after(len(events), events[-1] if events else None)


def test_a_worst_case_is_set_aside_and_gives_way_to_the_cost() -> None:
    reserved = budget.reserve(RunBudget(), BOUNDED, 1, CAUSE)
    assert (reserved.spent, reserved.reserved, reserved.worst_case) == (0, Decimal("0.02"), Decimal("0.02"))
    assert (reserved.root_id, reserved.call_id, reserved.attempt) == ("task_1", "call-1", 1)
    ended = budget.settle(standing([reserved]), BOUNDED, settled(1))
    assert (ended.spent, ended.reserved, ended.cost) == (Decimal("0.001"), 0, Decimal("0.001"))
    assert (ended.by, ended.because, ended.at) == (CAUSE.by, CAUSE.because, CAUSE.at)


def test_a_cut_call_costs_what_arrived_and_a_failed_one_nothing() -> None:
    before = RunBudget(1, Decimal(0), Decimal("0.02"))
    assert budget.settle(before, BOUNDED, cut(1)).spent == Decimal("0.0005")
    assert budget.settle(before, BOUNDED, failed(1)).spent == 0
    assert budget.settle(before, BOUNDED, failed(1)).reserved == 0


def test_what_fits_to_the_last_cent_passes_and_the_next_is_refused_with_the_amounts() -> None:
    full = RunBudget(7, Decimal("0.01"), Decimal("0.02"))
    assert budget.reserve(full, BOUNDED, 1, CAUSE).reserved == Decimal("0.04")
    with pytest.raises(OverBudget, match=r"budget of \$0\.05 .+ \$0\.0100001 are spent, \$0\.02 reserved") as caught:
        budget.reserve(replace(full, spent=Decimal("0.0100001")), BOUNDED, 1, CAUSE)
    assert caught.value.details == {
        "budget_usd": Decimal("0.05"),
        "spent_usd": Decimal("0.0100001"),
        "reserved_usd": Decimal("0.02"),
        "worst_case_usd": Decimal("0.02"),
    }


def test_a_raised_budget_lets_more_pass() -> None:
    full = RunBudget(7, Decimal("0.04"), Decimal("0.01"))
    raised = replace(BOUNDED, budget_usd=Decimal("0.07"))
    assert budget.reserve(full, raised, 1, CAUSE).budget_usd == Decimal("0.07")


def test_a_budget_that_belongs_to_no_run_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="a run that it belongs to"):
        budget.reserve(RunBudget(), replace(BOUNDED, root_id=None), 1, CAUSE)


def test_a_stream_without_events_has_the_whole_budget_left() -> None:
    assert budget.budget_after(0, None) == RunBudget()
    assert budget.stream("task_1") == "budget:task_1"


AMOUNTS = st.decimals("0", "0.03", places=6)


class Run(RuleBasedStateMachine):
    """Calls of one run, in whatever order they are reserved, lost and ended."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[Event]] = {}
        self.moved: list[Event] = []
        self.worst: dict[tuple[str, int], Decimal] = {}

    def _call(self, call_id: str) -> Call:
        return aggregate.load(self.calls.get(call_id, []))

    @rule(call_id=st.sampled_from("abcd"), worst_case=AMOUNTS)
    def reserve(self, call_id: str, worst_case: Decimal) -> None:
        call, intent = self._call(call_id), replace(BOUNDED, call_id=call_id, worst_case=worst_case)
        if not (events := aggregate.reserve(call, intent, CAUSE)):
            return
        now = standing(self.moved)
        try:
            reserved = budget.reserve(now, intent, call.next_attempt, CAUSE)
        except OverBudget:
            assert now.spent + now.reserved + worst_case > Decimal("0.05")
            return
        self.calls[call_id] = [*self.calls.get(call_id, []), *events]
        self.moved.append(reserved)
        self.worst[call_id, call.next_attempt] = worst_case

    @rule(
        call_id=st.sampled_from("abcd"),
        attempt=st.integers(1, 3),
        end=st.sampled_from([settled, cut, failed]),
        share=st.decimals("0", "1", places=3),
    )
    def end(self, call_id: str, attempt: int, end: type[CallSettled | CallCut | CallFailed], share: Decimal) -> None:
        worst = self.worst.get((call_id, attempt), Decimal(0))
        changes = {"call_id": call_id} if end is failed else {"call_id": call_id, "cost": worst * share}
        for event in aggregate.end(self._call(call_id), end(attempt).model_copy(update=changes)):
            assert isinstance(event, CallSettled | CallCut | CallFailed)
            intent = replace(BOUNDED, call_id=call_id, worst_case=worst)
            self.moved.append(budget.settle(standing(self.moved), intent, event))
            self.calls[call_id].append(event)

    @rule(call_id=st.sampled_from("abcd"), attempt=st.integers(1, 3))
    def lose(self, call_id: str, attempt: int) -> None:
        lost = aggregate.lose(self._call(call_id), attempt, "timeout", CAUSE)
        self.calls.setdefault(call_id, []).extend(lost)

    @invariant()
    def the_sums_are_those_of_the_calls_and_within_the_budget(self) -> None:
        now, events = standing(self.moved), [event for events in self.calls.values() for event in events]
        assert now.spent == sum(event.cost for event in events if isinstance(event, CallSettled | CallCut))
        open_attempts = {
            (call_id, attempt)
            for call_id in self.calls
            for attempt, state in self._call(call_id).attempts.items()
            if state in {"reserved", "unknown"}
        }
        assert now.reserved == sum(self.worst[attempt] for attempt in open_attempts)
        assert now.spent + now.reserved <= Decimal("0.05")
        assert now.version == sum(isinstance(event, BudgetReserved | BudgetSettled) for event in self.moved)
        assert sum(isinstance(event, CallLost) for event in events) <= len(self.worst)


TestRun = Run.TestCase
