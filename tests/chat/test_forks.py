"""Sessions that begin where others were, and ratings of answers, through the whole system."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.chat.activities import ChatActivities
from activities.chat.history import ChatHistory
from activities.chat.messages import Ancestor, OpenSessionRequest, SessionHead
from activities.chat.turn_events import turn_started_event
from activities.turn_ref import TurnRef
from adapters.postgres.projections.rebuild import Rebuild
from domain.chat.commands import fork as fork_of
from domain.chat.events import ForkOrigin, TurnAnswered
from domain.chat.forks import inherited_count, lineage_at, session_of_turn
from domain.chat.projection import ChatProjection
from domain.chat.sessions import summarise, summary_stream
from domain.chat.turns import turn_stream
from domain.content import Content, content_hash
from domain.events import Cause
from domain.ledger import Change
from runtime.wiring.parts import now
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, AGENT, CHAT, System, until

CAUSE = Cause("key_1", "req_1", datetime(2026, 11, 23, tzinfo=UTC), "default")

AS_ADMIN = {"X-API-Key": ADMIN_KEY}
in_the_system = pytest.mark.asyncio(loop_scope="module")


async def talked(system: System, *messages: str, session_id: str | None = None) -> str:
    """A session in which these were said and answered."""
    for message in messages:
        answer = await system.say(message, session_id)
        assert answer.status_code == 200, answer.text
        session_id = answer.json()["session_id"]
    assert session_id
    return session_id


async def fork(system: System, session_id: str, turn: int, **headers: str) -> httpx.Response:
    return await system.http.post(f"{CHAT}/{session_id}/fork", json={"turn": turn}, headers=headers)


async def forked(system: System, session_id: str, turn: int) -> str:
    answer = await fork(system, session_id, turn)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["session_id"])


async def rate(system: System, session_id: str, turn: int, **body: Any) -> httpx.Response:
    headers = body.pop("headers", {})
    return await system.http.post(f"{CHAT}/{session_id}/turns/{turn}/rating", json=body, headers=headers)


def said_to(model: ScriptedModel) -> list[str]:
    """What the newest prompt held of the conversation."""
    return [str(m["content"]) for m in model.requests()[-1]["messages"] if m["role"] == "user"]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


@in_the_system
async def test_a_fork_goes_on_from_a_turn(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = await talked(shared, "One.", "Two.", "Three.")
    answer = await fork(shared, session_id, 2)
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{CHAT}/{body['session_id']}"
    assert body["forked_from"] == {"session_id": session_id, "turn": 2}
    said = (await shared.say("Otherwise.", body["session_id"])).json()
    assert (said["turn"], said["workflow_id"]) == (3, body["workflow_id"])
    assert said_to(scripted_model) == ["One.", "Two.", "Otherwise."]
    await shared.say("Four.", session_id)
    assert said_to(scripted_model) == ["One.", "Two.", "Three.", "Four."]


@in_the_system
async def test_a_fork_shows_the_history_that_it_has_from_its_origin(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = await talked(shared, "One.", "Two.")
    fork_id = await forked(shared, session_id, 2)
    before, after = await shared.session(session_id), await shared.session(fork_id)
    assert (after["status"], after["total"], after["pending"]) == ("idle", 2, 0)
    assert after["forked_from"] == {"session_id": session_id, "turn": 2}
    assert before["forked_from"] is None
    assert [turn["message"] for turn in after["turns"]] == ["One.", "Two."]
    for own, origin in zip(after["turns"], before["turns"], strict=True):
        assert own == {**origin, "origin_session_id": session_id}
    await talked(shared, "Three.", session_id=fork_id)
    turns = (await shared.session(fork_id))["turns"]
    assert [(turn["turn"], turn["message"], turn["origin_session_id"]) for turn in turns] == [
        (1, "One.", session_id),
        (2, "Two.", session_id),
        (3, "Three.", None),
    ]
    assert len((await shared.session(session_id))["turns"]) == 2


@in_the_system
async def test_a_fork_of_a_fork_remembers_all_of_it(shared: System, scripted_model: ScriptedModel) -> None:
    first = await talked(shared, "One.", "Two.")
    second = await forked(shared, first, 1)
    await talked(shared, "Two, otherwise.", "Three.", session_id=second)
    third = await forked(shared, second, 2)
    await talked(shared, "At last.", session_id=third)
    assert said_to(scripted_model) == ["One.", "Two, otherwise.", "At last."]
    turns = (await shared.session(third))["turns"]
    assert [(turn["message"], turn["origin_session_id"]) for turn in turns] == [
        ("One.", first),
        ("Two, otherwise.", second),
        ("At last.", None),
    ]
    early = await forked(shared, third, 1)
    await talked(shared, "From the start.", session_id=early)
    assert said_to(scripted_model) == ["One.", "From the start."]


@in_the_system
async def test_forking_costs_nothing_and_counts_nothing_twice(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = await talked(shared, "One.")
    fork_id = await forked(shared, session_id, 1)
    assert len(scripted_model.bill()) == 1
    assert await shared.calls(session_id=fork_id) == []
    assert len(await shared.calls(session_id=session_id)) == 1


@in_the_system
async def test_an_ended_session_can_be_forked_and_its_fork_goes_on(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = await talked(shared, "One.")
    await shared.http.delete(f"{CHAT}/{session_id}")
    fork_id = await forked(shared, session_id, 1)
    await talked(shared, "Two.", session_id=fork_id)
    assert said_to(scripted_model) == ["One.", "Two."]


@in_the_system
async def test_a_failed_turn_is_shown_in_a_fork_and_not_remembered(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = await talked(shared, "One.")
    scripted_model.script({"contains": "Fail", "status": 400, "times": 1})
    assert (await shared.say("Fail.", session_id)).status_code == 502
    fork_id = await forked(shared, session_id, 2)
    assert [turn["status"] for turn in (await shared.session(fork_id))["turns"]] == ["completed", "failed"]
    answer = await shared.say("Three.", fork_id)
    assert answer.json()["turn"] == 3
    assert said_to(scripted_model) == ["One.", "Three."]


@in_the_system
async def test_a_turn_that_is_not_over_cannot_be_forked_at(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = await talked(shared, "One.")
    scripted_model.script({"contains": "slow", "delay_s": 1})
    await shared.say("Be slow.", session_id, wait=False)
    await until(lambda: shared.session(session_id), lambda session: session["total"] == 2)
    assert code(await fork(shared, session_id, 2)) == (409, "CONFLICT")
    assert (await fork(shared, session_id, 1)).status_code == 201
    await shared.settled(session_id)
    assert (await fork(shared, session_id, 2)).status_code == 201


@in_the_system
async def test_what_is_not_there_cannot_be_forked(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = await talked(shared, "One.")
    assert code(await fork(shared, session_id, 2)) == (404, "NOT_FOUND")
    assert code(await fork(shared, session_id, 2**62)) == (404, "NOT_FOUND")
    assert code(await fork(shared, f"session_{uuid4().hex}", 1)) == (404, "NOT_FOUND")
    assert (await fork(shared, session_id, 1, **AS_ADMIN)).status_code == 201  # another key of the tenant
    assert code(await fork(shared, session_id, 0)) == (422, "VALIDATION_ERROR")


@in_the_system
async def test_the_same_key_makes_one_fork(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = await talked(shared, "One.")
    headers = {"Idempotency-Key": uuid4().hex}
    first = await fork(shared, session_id, 1, **headers)
    with shared.parts.database.connection() as connection:
        connection.execute("DELETE FROM http_idempotency")
    again = await fork(shared, session_id, 1, **headers)
    assert (again.status_code, again.json()) == (201, first.json())
    others = await asyncio.gather(*(fork(shared, session_id, 1) for _ in range(5)))
    assert len({answer.json()["session_id"] for answer in others}) == 5


class Past:
    """A session of answered turns, written down without a run. The text of turn n is `said n` and `answered n`."""

    def __init__(self, system: System) -> None:
        self.ledger, self.content = system.parts.ledger, system.parts.content
        self.chat = ChatActivities(self.ledger, now, model_queue="nowhere")
        self.memory = ChatHistory(self.ledger, self.content, system.parts.agents)

    def session(self, turns: int, *summaries: int) -> str:
        session_id = f"session_{uuid4().hex}"
        self.opened(session_id)
        for turn in range(1, turns + 1):
            self.answered(session_id, turn)
        for upto in summaries:
            text = self.content.put(Content(session_id, f"summary up to {upto}"))
            events = summarise(session_id, upto, text, CAUSE)
            self.ledger.append(Change(summary_stream(session_id, upto), 0, events), key=uuid4().hex)
        return session_id

    def opened(self, session_id: str) -> SessionHead:
        return self.chat.open_session(OpenSessionRequest(session_id, AGENT, "key_1", f"chat-{session_id}", "req_1"))

    def answered(self, session_id: str, turn: int) -> None:
        ref = TurnRef(session_id, turn, f"{session_id}.{turn}", "", AGENT, 1, "key_1", "req_1")
        said, reply = (self.content.put(Content(session_id, f"{word} {turn}")) for word in ("said", "answered"))
        begun = turn_started_event(replace(ref, message_hash=said), model="scripted", cause=CAUSE)
        done = TurnAnswered(
            session_id=session_id,
            turn=turn,
            message_id=ref.message_id,
            reply_hash=reply,
            finish="stop",
            model="scripted",
            prompt_tokens=1,
            completion_tokens=1,
            cost=Decimal(0),
            **CAUSE.fields(),
        )
        self.ledger.append(Change(turn_stream(session_id, turn), 0, [begun, done]), key=uuid4().hex)

    def forked(self, session_id: str, turn: int) -> tuple[str, SessionHead]:
        fork_id = f"session_{uuid4().hex}"
        fork_of(self.ledger, session_id, turn, fork_id, CAUSE)
        return fork_id, self.opened(fork_id)

    def remembered(self, session_id: str, head: SessionHead) -> tuple[list[str], str | None]:
        """What prompts of the next turn hold: messages, and the summary."""
        words = self.memory.read_texts(session_id, head.first, head.turn, head.summary_hash, lineage=head.lineage)
        return [said for said, _ in words.turns], words.texts.get(head.summary_hash or "")


@in_the_system
@pytest.mark.parametrize(
    ("turn", "said", "summary"),
    [
        (1, ["said 1"], None),
        (2, [], "summary up to 2"),
        (3, ["said 3"], "summary up to 2"),
        (5, ["said 5"], "summary up to 4"),
    ],
)
async def test_a_fork_begins_with_the_summary_that_its_origin_had_by_then(
    shared: System, turn: int, said: list[str], summary: str | None
) -> None:
    past = Past(shared)
    session_id = past.session(5, 2, 4)
    fork_id, head = past.forked(session_id, turn)
    assert (head.turn, head.lineage) == (turn, [Ancestor(session_id, turn)])
    assert past.remembered(fork_id, head) == (said, summary)
    past.answered(fork_id, turn + 1)
    again, head = past.forked(fork_id, turn + 1)
    assert (head.turn, head.lineage) == (turn + 1, [Ancestor(session_id, turn), Ancestor(fork_id, turn + 1)])
    assert past.remembered(again, head) == ([*said, f"said {turn + 1}"], summary)


@in_the_system
async def test_what_was_erased_from_the_origin_is_gone_from_its_forks(shared: System) -> None:
    past = Past(shared)
    session_id = past.session(2)
    fork_id, _ = past.forked(session_id, 2)
    past.answered(fork_id, 3)
    with shared.parts.database.connection() as connection:
        connection.execute("DELETE FROM content WHERE owner = %s", (session_id,))
    assert past.remembered(fork_id, past.opened(fork_id)) == (["said 3"], None)


@in_the_system
async def test_an_answer_is_rated_and_rated_again(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = await talked(shared, "One.", "Two.")
    answer = await rate(shared, session_id, 2, rating=2, comment="Too short.")
    assert (answer.status_code, answer.json()) == (
        200,
        {"session_id": session_id, "turn": 2, "rating": 2, "comment": "Too short."},
    )
    assert [turn["rating"] for turn in (await shared.session(session_id))["turns"]] == [None, 2]
    await rate(shared, session_id, 2, rating=5)
    assert [turn["rating"] for turn in (await shared.session(session_id))["turns"]] == [None, 5]
    stream = shared.parts.ledger.read(f"rating:{session_id}:00000002")
    assert [(event.rating, event.agent_id) for event in stream] == [  # type: ignore[attr-defined]
        (2, "ali_chief_of_staff"),
        (5, "ali_chief_of_staff"),
    ]


@in_the_system
async def test_what_is_said_about_an_answer_is_content_of_its_session(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = await talked(shared, "One.")
    comment = f"Helpful {uuid4().hex}."
    await rate(shared, session_id, 1, rating=4, comment=comment)
    texts = shared.parts.content.get(session_id, [content_hash(comment)])
    assert list(texts.values()) == [comment]
    with shared.parts.database.connection() as connection:
        found = connection.execute(
            "SELECT count(*) FROM ledger_events WHERE strpos(convert_from(state, 'UTF8'), %s) > 0", (comment,)
        ).fetchone()
    assert found == (0,)


@in_the_system
async def test_saying_the_same_again_adds_nothing(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = await talked(shared, "One.")
    for _ in range(3):
        assert (await rate(shared, session_id, 1, rating=3)).status_code == 200
    assert len(shared.parts.ledger.read(f"rating:{session_id}:00000001")) == 1


@in_the_system
async def test_many_ratings_at_once_are_one_after_the_other(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = await talked(shared, "One.")
    answers = await asyncio.gather(*(rate(shared, session_id, 1, rating=n) for n in (1, 2, 3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    [turn] = (await shared.session(session_id))["turns"]
    assert turn["rating"] == shared.parts.ledger.read(f"rating:{session_id}:00000001")[-1].rating  # type: ignore[attr-defined]


@in_the_system
async def test_only_an_answer_can_be_rated_by_any_key_of_the_tenant(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = await talked(shared, "One.")
    scripted_model.script({"contains": "Fail", "status": 400, "times": 1})
    await shared.say("Fail.", session_id)
    assert code(await rate(shared, session_id, 2, rating=1)) == (409, "CONFLICT")
    assert code(await rate(shared, session_id, 3, rating=1)) == (404, "NOT_FOUND")
    assert code(await rate(shared, f"session_{uuid4().hex}", 1, rating=1)) == (404, "NOT_FOUND")
    assert (await rate(shared, session_id, 1, rating=1, headers=AS_ADMIN)).status_code == 200
    for body in ({"rating": 0}, {"rating": 6}, {"rating": 2.5}, {}, {"rating": 3, "stars": 3}):
        assert code(await rate(shared, session_id, 1, **body)) == (422, "VALIDATION_ERROR")


@in_the_system
async def test_what_a_fork_has_from_its_origin_is_rated_in_the_fork(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = await talked(shared, "One.")
    fork_id = await forked(shared, session_id, 1)
    assert (await rate(shared, fork_id, 1, rating=4)).status_code == 200
    assert [turn["rating"] for turn in (await shared.session(fork_id))["turns"]] == [4]
    assert [turn["rating"] for turn in (await shared.session(session_id))["turns"]] == [None]


@in_the_system
async def test_sessions_and_turns_equal_their_rebuild(shared: System) -> None:
    database_url, registry = shared.settings.database_url or "", shared.parts.registry
    rebuilt = await asyncio.to_thread(Rebuild(database_url, registry, ChatProjection()).run, swap=False)
    assert [comparison.equal for comparison in rebuilt.comparisons] == [True, True]
    assert rebuilt.set_aside == 0


@st.composite
def families(draw: st.DrawFn) -> list[tuple[str, tuple[ForkOrigin, ...], int]]:
    """Sessions, each a fork of the one before: (id, lineage, last turn)."""
    sessions: list[tuple[str, tuple[ForkOrigin, ...], int]] = [("s0", (), draw(st.integers(1, 5)))]
    for n in range(draw(st.integers(0, 5))):
        session_id, lineage, last = draw(st.sampled_from(sessions))
        turn = draw(st.integers(1, last))
        sessions.append((f"s{n + 1}", lineage_at(session_id, lineage, turn), turn + draw(st.integers(0, 4))))
    return sessions


@given(families())
def test_the_turns_of_a_lineage_follow_each_other(sessions: list[tuple[str, tuple[ForkOrigin, ...], int]]) -> None:
    known = {session_id: lineage for session_id, lineage, _ in sessions}
    for session_id, lineage, last in sessions:
        ends = [origin.upto for origin in lineage]
        assert ends == sorted(set(ends))
        for turn in range(1, last + 1):
            stands = session_of_turn(session_id, lineage, turn)
            assert (stands == session_id) == (turn > inherited_count(lineage))
            assert session_of_turn(stands, known[stands], turn) == stands
