"""One swarm: asked for once, held once, ended once; and whose session is whose seat."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.chat.events import TurnAnswered, TurnFailed, TurnHeld, TurnResumed, TurnStarted
from domain.errors import NotFound
from domain.events import Event
from domain.ids import nested_session_id
from domain.swarm.aggregate import Swarm, end, evolve, hold, load, request
from domain.swarm.events import PinnedSwarmAgent, SwarmEnded, SwarmHeld, SwarmRequested
from domain.swarm.members import member_turn_event, seat, seat_of_session

CAUSE: dict[str, Any] = {"by": "key_1", "because": "req_1", "at": datetime(2026, 11, 1, tzinfo=UTC)}
REQUESTED = SwarmRequested(
    task_id="task_1",
    mode="parallel",
    members=(PinnedSwarmAgent(agent_id="ada", agent_version=2),),
    coordinator=PinnedSwarmAgent(agent_id="ali", agent_version=1),
    key_id="key_1",
    task_hash="task",
    rounds=2,
    require_approval=False,
    **CAUSE,
)


def held(approval_id: str = "approval_1") -> SwarmHeld:
    return SwarmHeld(task_id="task_1", approval_id=approval_id, result_hash="result", **CAUSE)


def ended(status: str = "completed") -> SwarmEnded:
    return SwarmEnded.model_validate({"task_id": "task_1", "status": status, **CAUSE})


def test_a_swarm_is_asked_for_once() -> None:
    assert request(Swarm(), REQUESTED) == [REQUESTED]
    assert request(load([REQUESTED]), REQUESTED) == []


def test_a_result_is_held_once_for_each_approval() -> None:
    asked = load([REQUESTED])
    assert hold(asked, held()) == [held()]
    assert hold(evolve(asked, held()), held()) == []
    assert hold(evolve(asked, ended()), held()) == []


def test_the_first_end_stands() -> None:
    asked = load([REQUESTED])
    assert end(asked, ended()) == [ended()]
    assert end(load([REQUESTED, held(), ended("cancelled")]), ended()) == []


def test_what_nobody_asked_for_is_neither_held_nor_ended() -> None:
    with pytest.raises(NotFound):
        hold(Swarm(), held())
    with pytest.raises(NotFound):
        end(Swarm(), ended())


def test_other_events_count_as_versions() -> None:
    assert load([REQUESTED, held(), ended()]).version == 3


@pytest.mark.parametrize(
    ("session_id", "place"),
    [
        ("task_1/ada", ("task_1", "ada")),
        ("task_1/coordinator/ali", ("task_1", "coordinator/ali")),
        ("task_1/coordinator", ("task_1", "coordinator")),
        ("task_1/ada/deeper", ("task_1", "ada")),
        ("task_1", None),
        ("session_1", None),
        ("session_1/ada", None),
    ],
)
def test_a_seat_is_a_session_inside_the_run(session_id: str, place: tuple[str, str] | None) -> None:
    assert seat_of_session(session_id) == place


def test_a_coordinator_has_a_seat_of_its_own() -> None:
    assert seat("ali", coordinating=False) == "ali"
    assert seat_of_session(nested_session_id("task_1", seat("ali", coordinating=True))) == (
        "task_1",
        seat("ali", coordinating=True),
    )


def of_turn(**more: Any) -> dict[str, Any]:
    at = CAUSE["at"] + timedelta(seconds=1)
    return {"session_id": "task_1/ada", "turn": 2, "message_id": "m", **CAUSE, "at": at, **more}


USED = {"finish": "stop", "model": "m", "prompt_tokens": 1, "completion_tokens": 1, "cost": "0"}
TURNS: list[tuple[type[Event], dict[str, Any], dict[str, Any]]] = [
    (TurnStarted, {"message_hash": "h", "agent_id": "ada", "agent_version": 1, "model": "m"}, {"what": "started"}),
    (TurnHeld, {"approval_id": "a"}, {"what": "held", "approval_id": "a"}),
    (TurnResumed, {"approval_id": "a"}, {"what": "resumed"}),
    (TurnAnswered, {"reply_hash": "reply", **USED}, {"what": "answered", "reply_hash": "reply"}),
    (
        TurnFailed,
        {"code": "CANCELLED", "message": "why"},
        {"what": "failed", "code": "CANCELLED", "message": "why"},
    ),
]


@pytest.mark.parametrize(("kind", "fields", "expected"), TURNS, ids=[kind.NAME for kind, _, _ in TURNS])
def test_turns_are_known_by_the_names_that_chats_store_them_under(
    kind: type[Event], fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    event = kind.model_validate(of_turn(**fields))
    found = member_turn_event(event)
    assert found is not None
    assert (found.task_id, found.seat, found.turn, found.at) == ("task_1", "ada", 2, event.at)
    assert {name: getattr(found, name) for name in expected} == expected


def test_turns_of_chats_tell_swarms_nothing() -> None:
    fields = {"message_hash": "h", "agent_id": "ada", "agent_version": 1, "model": "m"}
    for session_id in ("session_1", "session_1/ada", "task_1"):
        assert member_turn_event(TurnStarted.model_validate({**of_turn(**fields), "session_id": session_id})) is None
    assert member_turn_event(REQUESTED) is None
