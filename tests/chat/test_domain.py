"""Sessions and turns: given these events, when this, then those."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.chat.events import (
    SessionEnded,
    SessionOpened,
    SessionSummarised,
    TurnAnswered,
    TurnFailed,
    TurnStarted,
)
from domain.chat.sessions import (
    Session,
    SessionOpening,
    admit,
    end_session,
    evolve_session,
    load_session,
    open_session,
    session_stream,
    summarise,
    summary_stream,
)
from domain.chat.turns import Turn, answer, evolve_turn, fail, load_turn, start, turn_stream
from domain.errors import Conflict, NotFound
from domain.events import Cause, Event

CAUSE = Cause("key_1", "req_1", datetime(2026, 11, 1, 12, tzinfo=UTC), "default")
OPENING = SessionOpening("s1", "ada", "key_1", "chat-s1", user_id="u1", project_id="p1")
OPENED = SessionOpened(
    session_id="s1",
    agent_id="ada",
    key_id="key_1",
    workflow_id="chat-s1",
    user_id="u1",
    project_id="p1",
    **CAUSE.fields(),
)
ENDED = SessionEnded(session_id="s1", **CAUSE.fields())


def started(message_id: str = "m1", turn: int = 3) -> TurnStarted:
    return TurnStarted(
        session_id="s1",
        turn=turn,
        message_id=message_id,
        message_hash="said",
        agent_id="ada",
        agent_version=2,
        model="some/model",
        **CAUSE.fields(),
    )


def answered(reply: str = "reply") -> TurnAnswered:
    return TurnAnswered(
        session_id="s1",
        turn=3,
        message_id="m1",
        reply_hash=reply,
        finish="stop",
        model="some/model-2026",
        prompt_tokens=40,
        completion_tokens=7,
        cost=Decimal("0.001"),
        **CAUSE.fields(),
    )


FAILED = TurnFailed(
    session_id="s1", turn=3, message_id="m1", code="UPSTREAM_ERROR", message="no answer", **CAUSE.fields()
)


def test_a_session_is_opened_once() -> None:
    assert open_session(Session(), OPENING, CAUSE) == [OPENED]
    assert open_session(load_session([OPENED]), OPENING, CAUSE) == []
    assert open_session(load_session([OPENED, ENDED]), OPENING, CAUSE) == []


def test_a_session_is_ended_once_by_whose_it_is() -> None:
    assert end_session(load_session([OPENED]), "s1", CAUSE) == [ENDED]
    assert end_session(load_session([OPENED, ENDED]), "s1", CAUSE) == []


@pytest.mark.parametrize("known", [[], [OPENED], [OPENED, ENDED]])
def test_nobody_else_learns_that_a_session_exists(known: list[Event]) -> None:
    with pytest.raises(NotFound):
        end_session(load_session(known), "s1", replace(CAUSE, tenant_id="acme"))


def test_a_new_session_admits_anybody() -> None:
    admit(Session(), tenant_id="acme", agent_id="bob")


def test_an_open_session_admits_its_tenant_to_its_agent() -> None:
    session = load_session([OPENED])
    admit(session, tenant_id="default", agent_id="ada")
    admit(session, tenant_id="default")


@pytest.mark.parametrize(
    ("known", "tenant_id", "agent_id", "refusal"),
    [
        ([OPENED], "acme", "ada", NotFound),
        ([OPENED, ENDED], "acme", "ada", NotFound),
        ([OPENED], "default", "bob", Conflict),
        ([OPENED, ENDED], "default", "ada", Conflict),
        ([OPENED, ENDED], "default", None, Conflict),
    ],
    ids=[
        "another tenant",
        "another tenant after the end",
        "another agent",
        "after the end",
        "after the end, any agent",
    ],
)
def test_others_are_refused(known: list[Event], tenant_id: str, agent_id: str | None, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        admit(load_session(known), tenant_id=tenant_id, agent_id=agent_id)


def test_a_refusal_to_talk_with_another_agent_names_the_right_one() -> None:
    with pytest.raises(Conflict) as refused:
        admit(load_session([OPENED]), tenant_id="default", agent_id="bob")
    assert refused.value.details == {"agent_id": "ada"}


def test_a_session_knows_whose_it_is_and_with_whom() -> None:
    assert load_session([OPENED, ENDED]) == Session(2, "ada", "key_1", ended=True)


def test_a_turn_starts_unless_it_runs_or_is_answered() -> None:
    assert start(Turn(), started()) == [started()]
    assert start(load_turn([started()]), started()) == []
    assert start(load_turn([started(), answered()]), started()) == []


def test_a_turn_that_failed_may_start_again_on_the_same_message() -> None:
    assert start(load_turn([started(), FAILED]), started()) == [started()]
    again = load_turn([started(), FAILED, started()])
    assert (again.status, again.visits, again.code, again.error) == ("running", 2, None, None)


@pytest.mark.parametrize("known", [[started()], [started(), FAILED], [started(), answered()]])
def test_a_turn_is_one_messages(known: list[Event]) -> None:
    with pytest.raises(Conflict, match="another message"):
        start(load_turn(known), started("m2"))


def test_the_first_answer_stands() -> None:
    assert answer(load_turn([started()]), answered()) == [answered()]
    assert answer(load_turn([started(), answered()]), answered("late")) == []


def test_an_answer_heals_a_turn_that_had_been_given_up() -> None:
    assert answer(load_turn([started(), FAILED]), answered()) == [answered()]
    assert load_turn([started(), FAILED, answered()]).status == "completed"


@pytest.mark.parametrize(
    ("known", "new"), [([started()], [FAILED]), ([started(), FAILED], []), ([started(), answered()], [])]
)
def test_a_turn_is_given_up_unless_it_is_over(known: list[Event], new: list[Event]) -> None:
    assert fail(load_turn(known), FAILED) == new


def test_an_answered_turn_knows_its_answer_and_what_it_cost() -> None:
    assert load_turn([started(), answered()]) == Turn(
        version=2,
        status="completed",
        visits=1,
        number=3,
        agent_id="ada",
        agent_version=2,
        message_id="m1",
        message_hash="said",
        reply_hash="reply",
        finish="stop",
        model="some/model-2026",
        prompt_tokens=40,
        completion_tokens=7,
        cost=Decimal("0.001"),
    )


def test_a_failed_turn_knows_why() -> None:
    turn = load_turn([started(), FAILED])
    assert (turn.status, turn.code, turn.error) == ("failed", "UPSTREAM_ERROR", "no answer")


@pytest.mark.parametrize(("state", "evolve"), [(Session(), evolve_session), (Turn(), evolve_turn)])
def test_an_event_of_another_concept_only_counts(state: Any, evolve: Any) -> None:
    class Other(Event):
        NAME = "toy.other"

    assert evolve(state, Other(**CAUSE.fields())) == replace(state, version=1)


def test_a_summary_says_up_to_which_turn_it_reaches() -> None:
    assert summarise("s1", 7, "hash", CAUSE) == [
        SessionSummarised(session_id="s1", upto=7, summary_hash="hash", **CAUSE.fields())
    ]


def test_streams_of_a_session_sort_by_their_turns() -> None:
    turns = [turn_stream("s1", n) for n in (1, 2, 9, 10, 11, 100, 99_999_999)]
    assert turns == sorted(turns)
    assert len({session_stream("s1"), *turns, summary_stream("s1", 1)}) == 9
