"""One intended model call: given these events, when this, then those."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.costs.aggregate import Call, CallIntent, SettledReply, end, evolve, load, lose, reserve, stream
from domain.costs.events import CallCut, CallFailed, CallLost, CallReserved, CallSettled
from domain.events import Cause, Event

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
CAUSE = Cause("key_1", "req_1", AT, "default")
INTENT = CallIntent(
    call_id="call-1",
    kind="chat",
    model="some/model",
    worst_case=Decimal("0.02"),
    price_version="2026-11",
    prompt_tokens_bound=500,
    max_tokens=100,
    deadline=AT + timedelta(minutes=2),
    agent_id="ada",
    session_id="s1",
    workflow_id="chat-s1",
    key_id="key_1",
)


def reserved(attempt: int) -> CallReserved:
    values = {name: value for name, value in asdict(INTENT).items() if name in CallReserved.model_fields}
    return CallReserved(attempt=attempt, **values, **CAUSE.fields())


def settled(attempt: int, *, stands: bool = True, reply: str = "r") -> CallSettled:
    return CallSettled(
        call_id="call-1",
        attempt=attempt,
        model="some/model-2026",
        prompt_tokens=40,
        completion_tokens=7,
        cached_prompt_tokens=0,
        estimated=False,
        cost=Decimal("0.001"),
        price_version="2026-11",
        price_known=True,
        provider_call_id=f"p{attempt}",
        reply_hash=reply,
        finish="stop",
        stands=stands,
        **CAUSE.fields(),
    )


def cut(attempt: int) -> CallCut:
    return CallCut(
        call_id="call-1",
        attempt=attempt,
        prompt_tokens=40,
        completion_tokens=3,
        estimated=True,
        cost=Decimal("0.0005"),
        price_version="2026-11",
        price_known=True,
        provider_call_id=None,
        error="cut",
        **CAUSE.fields(),
    )


def failed(attempt: int) -> CallFailed:
    return CallFailed(call_id="call-1", attempt=attempt, error="unreachable", **CAUSE.fields())


def lost(attempt: int, error: str = "timeout", **fields: Any) -> CallLost:
    return CallLost(call_id="call-1", attempt=attempt, error=error, **fields, **CAUSE.fields())


def test_the_first_attempt_is_reserved_with_what_it_may_cost() -> None:
    assert reserve(Call(), INTENT, CAUSE) == [reserved(1)]
    assert stream("call-1") == "call:call-1"


def test_an_attempt_that_nobody_speaks_for_is_given_up_before_the_next() -> None:
    gone = lost(1, "its worker went away")
    assert reserve(load([reserved(1)]), INTENT, CAUSE) == [gone, reserved(2)]


@pytest.mark.parametrize("ended", [failed(1), cut(1), lost(1)])
def test_after_an_attempt_without_a_reply_the_next_is_reserved(ended: Event) -> None:
    assert reserve(load([reserved(1), ended]), INTENT, CAUSE) == [reserved(2)]


def test_nothing_is_reserved_once_a_reply_stands() -> None:
    assert reserve(load([reserved(1), settled(1)]), INTENT, CAUSE) == []


def test_the_reply_that_was_settled_first_stands() -> None:
    call = load([reserved(1), lost(1), reserved(2), settled(2, reply="second")])
    late = settled(1, reply="late")
    assert end(call, late) == [settled(1, reply="late", stands=False)]
    after = load(
        [reserved(1), lost(1), reserved(2), settled(2, reply="second"), settled(1, reply="late", stands=False)]
    )
    assert after.reply == SettledReply("second", "stop", "some/model-2026", 40, 7, Decimal("0.001"))
    assert after.attempts == {1: "settled", 2: "settled"}


def test_a_late_reply_stands_when_no_other_does() -> None:
    call = load([reserved(1), lost(1), reserved(2)])
    assert end(call, settled(1)) == [settled(1, stands=True)]


ENDS = [settled(1), cut(1), failed(1)]


@pytest.mark.parametrize("ended", ENDS)
def test_an_attempts_end_is_booked_once(ended: Any) -> None:
    call = load([reserved(1), ended])
    assert [end(call, again) for again in ENDS] == [[], [], []]
    assert lose(call, 1, "timeout", CAUSE) == []


@pytest.mark.parametrize("ended", ENDS)
def test_an_unknown_end_may_become_known(ended: Any) -> None:
    assert end(load([reserved(1), lost(1)]), ended) == [ended]


@pytest.mark.parametrize("ended", ENDS)
def test_an_attempt_that_was_never_reserved_has_no_end(ended: Any) -> None:
    assert end(Call(), ended) == []
    assert lose(Call(), 1, "timeout", CAUSE) == []


def test_an_attempt_is_lost_once() -> None:
    call = load([reserved(1)])
    assert lose(call, 1, "timeout", CAUSE, failed=True) == [lost(1, failed=True)]
    assert lose(load([reserved(1), lost(1)]), 1, "timeout", CAUSE) == []


def test_failures_are_the_providers_and_each_attempts_counts_once() -> None:
    def failures(*events: Event) -> int:
        return load(events).failures

    assert failures(reserved(1), lost(1)) == 0
    assert failures(reserved(1), lost(1, failed=True)) == 1
    assert failures(reserved(1), lost(1, failed=True), failed(1)) == 1
    assert failures(reserved(1), cut(1), reserved(2), failed(2), reserved(3)) == 2


def test_a_call_counts_its_events_and_shows_its_open_attempts() -> None:
    call = load([reserved(1), lost(1), reserved(2)])
    assert (call.version, call.open, call.next_attempt, call.call_id) == (3, (2,), 3, "call-1")


def test_an_event_of_another_concept_only_counts() -> None:
    class Other(Event):
        NAME = "toy.other"

    assert evolve(Call(), Other(**CAUSE.fields())) == replace(Call(), version=1)


class Attempts(RuleBasedStateMachine):
    """Whatever happens in whatever order, an attempt ends once and one reply stands."""

    @initialize()
    def begin(self) -> None:
        self.events: list[Event] = []

    @property
    def call(self) -> Call:
        return load(self.events)

    @rule()
    def reserve(self) -> None:
        self.events += reserve(self.call, INTENT, CAUSE)

    @rule(attempt=st.integers(1, 4), what=st.sampled_from([settled, cut, failed]))
    def end(self, attempt: int, what: Any) -> None:
        self.events += end(self.call, what(attempt))

    @rule(attempt=st.integers(1, 4))
    def lose(self, attempt: int) -> None:
        self.events += lose(self.call, attempt, "timeout", CAUSE)

    @invariant()
    def holds(self) -> None:
        events = getattr(self, "events", [])
        standing = [e for e in events if isinstance(e, CallSettled) and e.stands]
        assert len(standing) <= 1
        assert (load(events).reply is None) == (not standing)
        assert len(load(events).open) <= 1, "one attempt at a time"
        for attempt in {e.attempt for e in events if isinstance(e, CallReserved)}:
            states = [type(e) for e in events if getattr(e, "attempt", None) == attempt]
            assert states[0] is CallReserved
            assert states.count(CallReserved) == 1
            assert sum(kind in {CallSettled, CallCut, CallFailed} for kind in states) <= 1
            assert states.count(CallLost) <= 1


TestAttempts = Attempts.TestCase


def test_a_cancelled_attempt_is_no_failure_of_the_provider() -> None:
    cancelled = cut(2).model_copy(update={"error": "cancelled"})
    call = load([reserved(1), cut(1), reserved(2), cancelled, reserved(3)])
    assert (call.failures, call.attempts) == (1, {1: "cut", 2: "cut", 3: "reserved"})


def test_failures_are_told_apart_by_their_models() -> None:
    other = reserved(2).model_copy(update={"model": "other"})
    call = load([reserved(1), cut(1), other, failed(2), reserved(3), failed(3)])
    assert call.failures_by_model() == {"some/model": ["cut", failed(3).error], "other": [failed(2).error]}
    assert (call.failures_of("some/model"), call.failures_of("other"), call.failures_of("none")) == (2, 1, 0)
