"""What may be done with an approval: given these events, when this, then those."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.approvals import escalation as passing
from domain.approvals import policy
from domain.approvals.aggregate import AlreadyDecided, Approval, evolve_all, load
from domain.approvals.escalation import ReassignmentRequest
from domain.approvals.events import (
    ApprovalDecided,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalSignalRefused,
    ApprovalVoted,
    ApprovalWithdrawn,
)
from domain.approvals.instructions import Instruction
from domain.approvals.policy import Decider, DecisionChoice
from domain.approvals.projection import fold_event
from domain.approvals.rules import ApprovalRules
from domain.errors import Conflict, DomainError, Forbidden, Invalid, NotFound
from domain.events import Cause, Event

T0 = datetime(2026, 11, 2, 9, tzinfo=UTC)
HASH = "a" * 64
ASKER = "key_asker"


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def cause(by: str = "platform", seconds: float = 10) -> Cause:
    return Cause(by, "req_1", at(seconds), "default")


def asked(**rules: Any) -> Approval:
    """A new approval under these rules."""
    kept = ApprovalRules(**{"expires_after_s": 1000, **rules})
    event = ApprovalRequested(
        approval_id="approval_1",
        kind="agent_response",
        risk="medium",
        title="Answer of ali",
        agent_id="ali",
        owner="chat-1",
        content_hash=HASH,
        workflow_id="chat-1",
        root_id="chat-1",
        requested_by=ASKER,
        rules=kept,
        **passing.deadlines(kept, T0),
        **Cause(ASKER, "req_0", T0, "default").fields(),
    )
    return load(policy.request(Approval(), event))


def key(name: str) -> Decider:
    return Decider(f"key_{name}", "proven")


ANONYMOUS = Decider("anonymous", "open")
SIGNAL = Decider("claimed:maria", "claimed")


def approve(approval: Approval, who: Decider, command_id: str = "c1", **more: Any) -> list[Event]:
    return policy.decide(approval, who, DecisionChoice("approve", command_id, **more), cause(who.by))


def reject(approval: Approval, who: Decider, command_id: str = "c1") -> list[Event]:
    return policy.decide(approval, who, DecisionChoice("reject", command_id), cause(who.by))


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def test_what_was_asked_already_is_not_asked_again() -> None:
    approval = asked()
    assert policy.request(approval, approval.request) == []


def test_a_decision_says_who_decided_what_and_what_they_left_of_the_text() -> None:
    [event] = approve(asked(), key("a"), comment_hash=HASH, content_hash="b" * 64)
    assert isinstance(event, ApprovalDecided)
    assert (event.outcome, event.by, event.comment_hash, event.content_hash) == ("approved", "key_a", HASH, "b" * 64)


def test_a_rejection_keeps_no_edited_text() -> None:
    [event] = policy.decide(asked(), key("a"), DecisionChoice("reject", "c", content_hash=HASH), cause())
    assert isinstance(event, ApprovalDecided)
    assert (event.outcome, event.content_hash) == ("rejected", None)


def test_the_first_decision_stands_and_the_second_is_told_which() -> None:
    approval = asked()
    approval = evolve_all(approval, reject(approval, key("a")))
    with pytest.raises(AlreadyDecided) as refused:
        approve(approval, key("b"), "c2")
    assert refused.value.details == {
        "approval_id": "approval_1",
        "status": "rejected",
        "by": "key_a",
        "at": at(10),
    }
    assert isinstance(refused.value, Conflict)


def test_the_same_command_again_changes_nothing() -> None:
    approval = asked()
    decided = evolve_all(approval, approve(approval, key("a"), "c1"))
    assert approve(decided, key("a"), "c1") == []


def test_nothing_is_decided_about_what_nobody_asked() -> None:
    for do in (approve, reject):
        with pytest.raises(NotFound):
            do(Approval(), key("a"))


def test_only_the_named_keys_decide() -> None:
    approval = asked(deciders=("key_a", "key_b"))
    with pytest.raises(Forbidden) as refused:
        approve(approval, key("c"))
    assert refused.value.details == {"deciders": ["key_a", "key_b"]}
    assert kinds(approve(approval, key("b"))) == [ApprovalDecided]


def test_without_keys_everybody_decides_what_was_assigned_when_there_were_keys() -> None:
    assert kinds(approve(asked(deciders=("key_a",)), ANONYMOUS)) == [ApprovalDecided]


def test_whoever_asked_does_not_decide_under_separation() -> None:
    approval = asked(separation=True)
    with pytest.raises(Forbidden, match="the requester"):
        approve(approval, Decider(ASKER, "proven"))
    assert kinds(approve(approval, key("other"))) == [ApprovalDecided]


@pytest.mark.parametrize("rules", [{"separation": True}, {"quorum": 2}])
@pytest.mark.parametrize("who", [ANONYMOUS, SIGNAL])
def test_who_proves_nothing_decides_nothing_under_separation_or_quorum(rules: dict[str, Any], who: Decider) -> None:
    with pytest.raises(Forbidden, match="needs a key"):
        approve(asked(**rules), who)


def test_a_signal_decides_only_what_anybody_may() -> None:
    assert kinds(approve(asked(), SIGNAL)) == [ApprovalDecided]
    with pytest.raises(Forbidden, match="needs a key"):
        approve(asked(deciders=("key_a",)), SIGNAL)


def test_signals_are_taken_where_nobody_has_to_prove_anything() -> None:
    assert policy.takes_claims(asked())
    for rules in ({"separation": True}, {"quorum": 2}, {"deciders": ("key_a",)}):
        assert not policy.takes_claims(asked(**rules))


def test_a_quorum_needs_that_many_different_keys() -> None:
    approval = asked(quorum=3, deciders=tuple(f"key_{name}" for name in "abcd"))
    for name in "ab":
        voted = approve(approval, key(name), name)
        assert kinds(voted) == [ApprovalVoted]
        approval = evolve_all(approval, voted)
        with pytest.raises(Conflict, match="agreed to this already"):
            approve(approval, key(name), f"{name} again")
        assert approve(approval, key(name), name) == []
    last = approve(approval, key("c"), "c")
    assert kinds(last) == [ApprovalVoted, ApprovalDecided]
    assert evolve_all(approval, last).status == "approved"


def test_one_rejection_rejects_whatever_the_quorum() -> None:
    approval = asked(quorum=3)
    approval = evolve_all(approval, approve(approval, key("a"), "a"))
    approval = evolve_all(approval, approve(approval, key("b"), "b"))
    assert kinds(reject(approval, key("b"), "c")) == [ApprovalDecided]
    assert evolve_all(approval, reject(approval, key("b"), "c")).status == "rejected"


def test_a_text_on_which_several_have_to_agree_is_not_edited() -> None:
    with pytest.raises(Invalid, match="several have to agree"):
        approve(asked(quorum=2), key("a"), content_hash=HASH)
    with pytest.raises(Invalid, match="several have to agree"):
        policy.refuse_edit(asked(quorum=2), "another text", None)


def test_the_arguments_of_a_tool_stay_a_json_object() -> None:
    approval = asked()
    call = evolve_all(Approval(), [approval.request.model_copy(update={"kind": "tool_call"})])
    policy.refuse_edit(call, '{"url": "https://example.org"}', None)
    policy.refuse_edit(approval, "any text", None)
    policy.refuse_edit(call, None, None)
    for wrong in ("no JSON", "[1]", '"text"', "null", "[" * 100_000):
        with pytest.raises(Invalid, match="JSON object"):
            policy.refuse_edit(call, wrong, None)


SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"text": {"type": "string", "maxLength": 10}, "times": {"type": "integer"}},
        "required": ["text"],
        "additionalProperties": False,
    }
)


@pytest.mark.parametrize("kind", ["tool_call", "agent_response", "request"])
@pytest.mark.parametrize(
    ("edited", "reason"),
    [
        ('{"text": 5}', "text: 5 is not of type"),
        ('{"times": 1}', "'text' is a required property"),
        ('{"text": "a", "other": 1}', "Additional properties"),
        ('{"text": "longer than ten"}', "longer than 10"),
        ('{"text": ' + "[" * 300 + "]" * 300 + "}", "nested"),
        (" \n", "is empty"),
        ('{"text": "a\0"}', "NUL"),
    ],
)
def test_an_edit_is_read_as_what_is_held_will_be(kind: str, edited: str, reason: str) -> None:
    approval = evolve_all(Approval(), [asked().request.model_copy(update={"kind": kind})])
    policy.refuse_edit(approval, '{"text": "a", "times": 2}', SCHEMA)
    with pytest.raises(Invalid, match=re.escape(reason)) as refused:
        policy.refuse_edit(approval, edited, SCHEMA)
    assert refused.value.details["field"] == "edited_content"


def test_a_schema_that_cannot_be_used_lets_no_edit_through() -> None:
    dangling = json.dumps({"properties": {"a": {"$ref": "#/$defs/nothing"}}})
    with pytest.raises(Invalid, match="cannot be used"):
        policy.refuse_edit(asked(), '{"a": 1}', dangling)


def delegate(approval: Approval, who: Decider, to: str, command_id: str = "d1") -> list[Event]:
    return passing.delegate(approval, who, ReassignmentRequest(command_id, to), cause(who.by))


def test_what_anybody_may_decide_is_assigned_by_delegation() -> None:
    approval = asked(remind_after_s=100)
    [event] = delegate(approval, key("a"), "key_b")
    assert isinstance(event, ApprovalDelegated)
    assert (event.to, event.deciders, event.remind_at) == ("key_b", ("key_b",), at(110))
    approval = evolve_all(approval, [event])
    with pytest.raises(Forbidden):
        approve(approval, key("a"))
    assert kinds(approve(approval, key("b"))) == [ApprovalDecided]
    assert delegate(approval, key("a"), "key_b") == []


def test_one_of_several_puts_another_in_their_place() -> None:
    approval = asked(quorum=2, deciders=("key_a", "key_b", "key_c"))
    approval = evolve_all(approval, delegate(approval, key("a"), "key_d"))
    assert approval.deciders == ("key_d", "key_b", "key_c")
    approval = evolve_all(approval, delegate(approval, key("d"), "key_b", "d2"))
    assert approval.deciders == ("key_b", "key_c")
    with pytest.raises(Conflict, match="1 left"):
        delegate(approval, key("c"), "key_b", "d3")
    with pytest.raises(Conflict, match="no decider to replace"):
        delegate(asked(quorum=2), key("a"), "key_b")


def test_who_has_agreed_cannot_pass_it_on_or_get_it_again() -> None:
    approval = asked(quorum=2, deciders=("key_a", "key_b", "key_c"))
    approval = evolve_all(approval, approve(approval, key("a")))
    with pytest.raises(Conflict, match="agreed"):
        delegate(approval, key("a"), "key_d")
    with pytest.raises(Invalid, match="not agreed yet"):
        delegate(approval, key("b"), "key_a")


def test_delegation_does_not_get_around_separation() -> None:
    with pytest.raises(Invalid, match="the requester"):
        delegate(asked(separation=True), key("a"), ASKER)
    with pytest.raises(Forbidden):
        delegate(asked(separation=True), Decider(ASKER, "proven"), "key_friend")


@pytest.mark.parametrize("to", ["", "*", "key_a"])
def test_it_is_delegated_to_one_other_key(to: str) -> None:
    with pytest.raises(Invalid) as refused:
        delegate(asked(), key("a"), to)
    assert refused.value.details["field"] == "to"


def test_it_is_not_passed_on_for_ever() -> None:
    approval = asked()
    for turn in range(passing.MOST_DELEGATIONS):
        approval = evolve_all(approval, delegate(approval, ANONYMOUS, f"key_{turn}", f"d{turn}"))
    with pytest.raises(Conflict, match="has to be decided"):
        delegate(approval, ANONYMOUS, "key_last", "last")


def test_escalation_gives_others_the_whole_time_again() -> None:
    approval = asked(remind_after_s=100, escalate_to=("key_boss",))
    [event] = passing.escalate(approval, key("a"), ReassignmentRequest("e1", comment_hash=HASH), cause("key_a", 500))
    assert isinstance(event, ApprovalEscalated)
    assert (event.why, event.deciders, event.expires_at, event.remind_at) == (
        "asked",
        ("key_boss",),
        at(1500),
        at(600),
    )
    approval = evolve_all(approval, [event])
    assert approval.status == "escalated"
    with pytest.raises(Conflict, match="escalated already"):
        passing.escalate(approval, key("boss"), ReassignmentRequest("e2"), cause())
    assert passing.escalate(approval, key("a"), ReassignmentRequest("e1"), cause()) == []
    assert kinds(approve(approval, key("boss"))) == [ApprovalDecided]


def test_time_reminds_once_escalates_and_ends_it() -> None:
    approval = asked(remind_after_s=100, escalate_after_s=500, on_expiry="escalate")
    happened = []
    while approval.standing is None:
        what, moment = passing.next_action(approval.expires_at, approval.remind_at, approval.escalate_at)
        when = Cause("platform", "time", moment, "default")
        events = passing.apply_timed_action(approval, what, seen=approval.version, cause=when)
        happened += [(type(event), round((moment - T0).total_seconds())) for event in events]
        approval = evolve_all(approval, events)
    assert happened == [
        (ApprovalReminded, 100),
        (ApprovalEscalated, 500),
        (ApprovalReminded, 600),
        (ApprovalExpired, 1500),
    ]
    assert approval.status == "expired"


def test_what_expires_is_escalated_first_where_the_rules_say_so() -> None:
    approval = asked(on_expiry="escalate")
    [event] = passing.apply_timed_action(approval, "expire", seen=1, cause=cause(seconds=1000))
    assert isinstance(event, ApprovalEscalated)
    assert (event.why, event.expires_at) == ("expired", at(2000))
    [end] = passing.apply_timed_action(evolve_all(approval, [event]), "expire", seen=2, cause=cause(seconds=2000))
    assert isinstance(end, ApprovalExpired)


def test_time_does_nothing_to_what_has_changed_since() -> None:
    approval = asked(remind_after_s=100)
    passed = evolve_all(approval, delegate(approval, key("a"), "key_b"))
    for what in ("remind", "escalate", "expire"):
        assert passing.apply_timed_action(passed, what, seen=1, cause=cause()) == []  # type: ignore[arg-type]


def test_a_withdrawal_ends_what_is_open_and_nothing_else() -> None:
    approval = asked()
    [event] = passing.withdraw(approval, HASH, cause())
    assert isinstance(event, ApprovalWithdrawn)
    withdrawn = evolve_all(approval, [event])
    assert withdrawn.status == "withdrawn"
    assert passing.withdraw(withdrawn, HASH, cause()) == []


def test_refused_signals_are_remembered_up_to_a_bound() -> None:
    approval = asked()
    for _ in range(policy.MOST_REFUSALS):
        approval = evolve_all(approval, policy.refuse_signal(approval, "approve", "it takes a key", cause(SIGNAL.by)))
    assert approval.refusals == policy.MOST_REFUSALS
    assert approval.standing is None
    assert policy.refuse_signal(approval, "approve", "it takes a key", cause(SIGNAL.by)) == []


_NAMES = st.sampled_from(["key_a", "key_b", "key_c", ASKER, "key_boss"])
_WHO = st.one_of(_NAMES.map(lambda name: Decider(name, "proven")), st.just(ANONYMOUS), st.just(SIGNAL))
_Step = Callable[[Approval, Cause], list[Event]]


@st.composite
def _commands(draw: st.DrawFn) -> _Step:
    who, command_id = draw(_WHO), draw(st.sampled_from([f"c{number}" for number in range(12)]))
    verdict = draw(st.sampled_from(["approve", "reject"]))
    handover = ReassignmentRequest(command_id, draw(_NAMES))
    what = draw(st.sampled_from(["remind", "escalate", "expire"]))
    steps: list[_Step] = [
        lambda approval, by: policy.decide(approval, who, DecisionChoice(verdict, command_id), by),  # type: ignore[arg-type]
        lambda approval, by: policy.decide(approval, who, DecisionChoice("approve", command_id), by),
        lambda approval, by: passing.delegate(approval, who, handover, by),
        lambda approval, by: passing.escalate(approval, who, handover, by),
        lambda approval, by: passing.apply_timed_action(approval, what, seen=approval.version, cause=by),  # type: ignore[arg-type]
        lambda approval, by: passing.withdraw(approval, None, by),
        lambda approval, by: policy.refuse_signal(approval, "approve", "it takes a key", by),
    ]
    return draw(st.sampled_from(steps))


_RULES = st.fixed_dictionaries(
    {
        "quorum": st.integers(1, 2),
        "separation": st.booleans(),
        "deciders": st.sampled_from([("*",), ("key_a", "key_b", ASKER)]),
        "escalate_to": st.sampled_from([("*",), ("key_boss", "key_c")]),
        "on_expiry": st.sampled_from(["reject", "escalate"]),
        "remind_after_s": st.sampled_from([None, 10.0]),
    }
)
_ENDS = (ApprovalDecided, ApprovalExpired, ApprovalWithdrawn)


@given(_RULES, st.lists(_commands(), max_size=40))
def test_there_is_one_decision_at_most_whatever_the_order_of_commands(
    rules: dict[str, Any], commands: list[_Step]
) -> None:
    approval = asked(**rules)
    events: list[Event] = [approval.request]
    for number, command in enumerate(commands):
        try:
            new = command(approval, Cause(f"by_{number}", "req", at(number), "default"))
        except DomainError:
            continue
        events += new
        approval = evolve_all(approval, new)
    ends = [event for event in events if isinstance(event, _ENDS)]
    assert len(ends) <= 1
    assert (approval.standing is not None) == bool(ends)
    assert approval == load(events)
    after_end = events[events.index(ends[0]) + 1 :] if ends else []
    assert kinds(after_end) == [ApprovalSignalRefused] * len(after_end)
    row = None
    for event in events:
        row = fold_event(row, event)
    assert row is not None
    assert (row.status, row.deciders, row.expires_at) == (approval.status, [*approval.deciders], approval.expires_at)
    assert (row.agreed, row.version) == ([*approval.votes], approval.version)
    if approval.status == "approved" and approval.request.rules.quorum > 1:
        assert len(set(approval.votes)) == approval.request.rules.quorum


@pytest.mark.parametrize("seconds", [1000, 1000.001, 10**6])
def test_nothing_is_said_in_time_after_the_end(seconds: float) -> None:
    policy.refuse_expired(asked(), at(999.999))
    with pytest.raises(policy.TooLate):
        policy.refuse_expired(asked(), at(seconds))


def test_what_went_up_at_its_end_has_time_again() -> None:
    approval = asked(on_expiry="escalate")
    gone_up = evolve_all(approval, passing.apply_timed_action(approval, "expire", seen=1, cause=cause(seconds=1000)))
    policy.refuse_expired(gone_up, at(1500))
    with pytest.raises(policy.TooLate):
        policy.refuse_expired(gone_up, at(2000))


def test_what_is_decided_is_not_late() -> None:
    approval = asked()
    policy.refuse_expired(evolve_all(approval, reject(approval, key("a"))), at(5000))


def test_an_instruction_of_another_tenant_is_not_carried_out() -> None:
    fields = {"approval_id": "approval_1", "command_id": "c1", "verb": "approve", "identity": "proven", "because": "r"}
    own, other = (Instruction(by="key_a", tenant_id=tenant_id, **fields) for tenant_id in ("default", "acme"))
    assert kinds(own.carry_out(asked(), cause("key_a"))) == [ApprovalDecided]
    with pytest.raises(NotFound):
        other.carry_out(asked(), cause("key_a"))
