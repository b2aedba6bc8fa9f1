"""What activities leave in the ledger, whatever happens to them; each time compared with the provider's bill."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.chat import history as memory
from activities.chat.activities import ChatActivities
from activities.chat.history import ChatHistory
from activities.chat.messages import (
    EndSessionRequest,
    OpenSessionRequest,
    StepRequest,
    StepResult,
    SummaryRequest,
    TurnFailure,
)
from activities.chat.model_step import ModelStepActivities
from activities.chat.summary import SummaryActivities
from activities.chat.tool_offers import ToolOffers
from activities.costs.bookkeeping import CostLedger
from activities.costs.model_call import ModelCalls
from activities.turn_ref import TurnRef
from domain.chat import sessions, turns
from domain.chat.events import SessionSummarised
from domain.content import Content, content_hash
from domain.errors import Conflict, NotFound, Unavailable
from runtime.settings import Settings
from runtime.wiring.parts import now
from tests.chaos.books import assert_attempt_agrees, assert_books_agree, name
from tests.outages import database_away
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System

LEDGER_LOCK = 7152348
"""What every append takes: who holds it keeps everybody from writing."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Talk:
    """A session, and the activities that work on it."""

    system: System
    model: ScriptedModel
    chat: ChatActivities
    thinking: ModelStepActivities
    summarising: SummaryActivities
    session_id: str

    def said(self, text: str, turn: int = 1, **more: Any) -> StepRequest:
        """A message, stored, and what is asked of `think`."""
        return StepRequest(self.ref(text, turn), f"chat-{self.session_id}", **more)

    def ref(self, text: str, turn: int = 1) -> TurnRef:
        message = self.system.parts.content.put(Content(self.session_id, text))
        name = f"{self.session_id}-{turn}"
        return TurnRef(self.session_id, turn, name, message, AGENT, 1, "anonymous", "req_1")

    def thinking_of(self, thought: StepRequest, attempt: int = 1) -> "asyncio.Task[StepResult]":
        return asyncio.create_task(self.think(thought, attempt))

    async def think(self, thought: StepRequest, attempt: int = 1) -> StepResult:
        """One attempt of the activity, as a worker makes it."""
        return await environment(attempt).run(self.thinking.think, thought)

    async def states(self) -> dict[int, str]:
        """The states of the session's attempts by number. Of one call, that is."""
        calls = await self.system.calls(session_id=self.session_id)
        assert len({call["call_id"] for call in calls}) <= 1
        return {call["attempt"]: call["state"] for call in calls}

    async def agreed(self) -> dict[int, str]:
        """The same, compared with the bill."""
        assert_books_agree(await self.system.calls(session_id=self.session_id), self.model.bill())
        return await self.states()

    def events(self, number: int = 1) -> list[Any]:
        return self.system.parts.ledger.read(turns.turn_stream(self.session_id, number))

    def turn(self, number: int = 1) -> turns.Turn:
        return turns.load_turn(self.system.parts.ledger.read(turns.turn_stream(self.session_id, number)))

    def text(self, text_hash: str) -> str:
        return self.system.parts.content.get(self.session_id, [text_hash])[text_hash]


def environment(attempt: int = 1) -> ActivityEnvironment:
    made = ActivityEnvironment()
    made.info = replace(made.info, attempt=attempt)
    return made


MakeTalk = Callable[..., Talk]


@pytest_asyncio.fixture(loop_scope="module")
async def make_talk(unworked: System, scripted_model: ScriptedModel) -> MakeTalk:
    def make(*, timeout_s: float = 30) -> Talk:
        parts = unworked.parts
        books = CostLedger(parts.ledger, parts.prices, now)
        calls = ModelCalls(books, parts.model, now, timeout=timedelta(seconds=timeout_s))
        remembered = ChatHistory(parts.ledger, parts.content, parts.agents)
        thinking = ModelStepActivities(
            remembered,
            parts.content,
            books,
            calls,
            offers=ToolOffers(parts.toolbox),
            now=now,
            default_model="scripted",
            max_answer_tokens=256,
        )
        summarising = SummaryActivities(remembered, calls, now, default_model="scripted")
        chat = ChatActivities(parts.ledger, now, model_queue="a-queue")
        session_id = f"session_{uuid4().hex}"
        chat.open_session(OpenSessionRequest(session_id, AGENT, "anonymous", f"chat-{session_id}", "req_1"))
        return Talk(unworked, scripted_model, chat, thinking, summarising, session_id)

    return make


@pytest_asyncio.fixture(loop_scope="module")
async def talk(make_talk: MakeTalk) -> Talk:
    return make_talk()


async def failed_with(work: Any) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await work
    return caught.value


async def test_an_answer_is_settled_with_its_turn(talk: Talk) -> None:
    answer = await talk.think(talk.said("Hello."))
    turn = talk.turn()
    assert (turn.status, turn.reply_hash, turn.prompt_tokens) == ("completed", answer.reply_hash, answer.prompt_tokens)
    assert talk.text(answer.reply_hash).endswith("Hello.")
    assert await talk.agreed() == {1: "settled"}


async def test_a_settled_reply_is_returned_without_another_call(talk: Talk) -> None:
    """The worker died between the settlement and its answer to Temporal."""
    thought = talk.said("Hello.")
    first = await talk.think(thought)
    again = [await talk.think(thought, attempt) for attempt in (1, 2)]
    assert [one.reply_hash for one in again] == [first.reply_hash] * 2
    assert len(talk.model.bill()) == 1
    assert await talk.agreed() == {1: "settled"}
    assert talk.turn().version == 2


async def test_a_lost_attempt_is_unknown_and_the_next_has_the_next_number(talk: Talk) -> None:
    talk.model.script({"hang": True})
    thought = talk.said("Hello.")
    lost = talk.thinking_of(thought)
    await talk.model.until(lambda bill: len(bill) == 1)
    await talk.think(thought, attempt=2)
    assert await talk.states() == {1: "unknown", 2: "settled"}
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    assert await talk.agreed() == {1: "unknown", 2: "settled"}
    first, second = talk.model.bill()
    assert first["request_id"] == second["request_id"].replace(".2", ".1")


async def test_a_late_reply_is_booked_and_the_settled_one_stands(talk: Talk) -> None:
    talk.model.script({"delay_s": 1, "text": "Late."}, {"text": "In time."})
    thought = talk.said("Hello.")
    late = talk.thinking_of(thought)
    await talk.model.until(lambda bill: len(bill) == 1)
    in_time = await talk.think(thought, attempt=2)
    assert talk.text(in_time.reply_hash) == "In time."
    assert (await late).reply_hash == in_time.reply_hash
    assert talk.turn().reply_hash == in_time.reply_hash
    await both_are_booked(talk)


async def test_a_late_reply_that_comes_first_stands(talk: Talk) -> None:
    talk.model.script({"delay_s": 0.3, "text": "Late."}, {"delay_s": 1.2, "text": "Later."})
    thought = talk.said("Hello.")
    late = talk.thinking_of(thought)
    await talk.model.until(lambda bill: len(bill) == 1)
    later = await talk.think(thought, attempt=2)
    assert talk.text(later.reply_hash) == "Late."
    assert (await late).reply_hash == later.reply_hash
    assert talk.turn().reply_hash == later.reply_hash
    await both_are_booked(talk)


async def both_are_booked(talk: Talk) -> None:
    calls = {name(call): call for call in await talk.system.calls(session_id=talk.session_id)}
    bill = {entry["request_id"]: entry for entry in talk.model.bill()}
    assert calls.keys() == bill.keys()
    assert len(calls) == 2
    for attempt, call in calls.items():
        assert_attempt_agrees(call, bill[attempt])
        assert call["state"] == "settled"


async def test_a_cut_stream_is_counted_from_what_arrived(talk: Talk) -> None:
    error = await failed_with(talk.think(talk.said("Tell me. [[tokens 90]] [[cut 2]]")))
    assert (error.type, error.non_retryable) == ("UPSTREAM_ERROR", False)
    [call] = await talk.system.calls(session_id=talk.session_id)
    assert (call["state"], call["estimated"], call["error"]) == ("cut", True, "cut")
    [entry] = talk.model.bill()
    assert call["completion_tokens"] == entry["completion_tokens"] == 60
    assert talk.turn().status == "running"
    await talk.agreed()


async def test_a_refusal_costs_nothing_and_is_tried_again(talk: Talk) -> None:
    thought = talk.said("Hello. [[fail 503 1]]")
    error = await failed_with(talk.think(thought))
    assert (error.type, error.non_retryable) == ("UPSTREAM_ERROR", False)
    assert await talk.states() == {1: "failed"}
    await talk.think(thought, attempt=2)
    assert await talk.agreed() == {1: "failed", 2: "settled"}


@pytest.mark.parametrize("trouble", [{"status": 503}, {"hang": True}, {"garbage": "page"}, {"cut_after_chunks": 0}])
async def test_the_fifth_failure_of_a_provider_is_the_last(make_talk: MakeTalk, trouble: dict[str, Any]) -> None:
    talk = make_talk(timeout_s=0.2)
    talk.model.script({**trouble, "times": None})
    thought = talk.said("Hello.")
    final = [(await failed_with(talk.think(thought, attempt))).non_retryable for attempt in range(1, 6)]
    assert final == [False] * 4 + [True]
    await talk.agreed()


async def test_workers_that_die_are_not_the_providers_failures(talk: Talk) -> None:
    talk.model.script({"hang": True, "times": 6})
    thought = talk.said("Hello.")
    lost = []
    for attempt in range(1, 7):
        lost.append(talk.thinking_of(thought, attempt))
        await talk.model.until(lambda bill, count=attempt: len(bill) == count)  # type: ignore[misc]
    answer = await talk.think(thought, attempt=7)
    assert answer.reply_hash
    for task in lost:
        task.cancel()
    await asyncio.gather(*lost, return_exceptions=True)
    assert await talk.agreed() == dict.fromkeys(range(1, 7), "unknown") | {7: "settled"}


async def test_a_call_without_an_end_is_unknown(make_talk: MakeTalk) -> None:
    talk = make_talk(timeout_s=0.2)
    error = await failed_with(talk.think(talk.said("Hello. [[hang]]")))
    assert (error.type, error.non_retryable) == ("UPSTREAM_ERROR", False)
    [call] = await talk.system.calls(session_id=talk.session_id)
    assert (call["state"], call["error"]) == ("unknown", "timeout")
    await talk.agreed()


async def test_a_cancelled_call_is_unknown(talk: Talk) -> None:
    thought, worker = talk.said("Hello. [[hang]]"), environment()
    working = asyncio.create_task(worker.run(talk.thinking.think, thought))
    await talk.model.until(lambda bill: len(bill) == 1)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await talk.agreed() == {1: "unknown"}


async def test_a_stream_that_a_cancellation_cuts_is_counted_from_what_arrived(talk: Talk) -> None:
    talk.model.script({"tokens": 90, "hang_after_chunks": 2})
    thought, worker = talk.said("Tell me."), environment()
    working = asyncio.create_task(worker.run(talk.thinking.think, thought))
    await talk.model.until(lambda bill: [entry["completion_tokens"] for entry in bill] == [60])
    await asyncio.sleep(0.1)
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    [call] = await talk.system.calls(session_id=talk.session_id)
    assert (call["state"], call["estimated"], call["error"]) == ("cut", True, "cancelled")
    assert call["completion_tokens"] == 60
    await talk.think(thought, attempt=2)
    assert await talk.agreed() == {1: "cut", 2: "settled"}


async def test_a_cancellation_in_the_settlement_does_not_lose_it(talk: Talk, unworked: System) -> None:
    thought, worker = talk.said("Hello. [[delay 0.3]]"), environment()
    working = asyncio.create_task(worker.run(talk.thinking.think, thought))
    await talk.model.until(lambda bill: len(bill) == 1)
    with unworked.parts.database.connection() as connection:
        connection.execute(b"SELECT pg_advisory_lock(%s)", (LEDGER_LOCK,))
        await talk.model.until(lambda bill: bill[0]["state"] == "finished")
        await asyncio.sleep(0.1)
        worker.cancel()
        await asyncio.sleep(0.1)
        assert not working.done()
        connection.execute(b"SELECT pg_advisory_unlock(%s)", (LEDGER_LOCK,))
    with pytest.raises(asyncio.CancelledError):
        await working
    assert talk.turn().status == "completed"
    assert await talk.agreed() == {1: "settled"}


async def test_a_settlement_waits_for_the_database(talk: Talk, shared_settings: Settings, postgres_server: str) -> None:
    working = talk.thinking_of(talk.said("Hello. [[delay 0.3]]"))
    await talk.model.until(lambda bill: len(bill) == 1)
    with database_away(postgres_server, shared_settings.database_url or ""):
        await talk.model.until(lambda bill: bill[0]["state"] == "finished")
        await asyncio.sleep(0.7)
        assert not working.done()
    answer = await asyncio.wait_for(working, 10)
    assert talk.turn().reply_hash == answer.reply_hash
    assert await talk.agreed() == {1: "settled"}


async def test_a_failure_waits_for_the_database(talk: Talk, shared_settings: Settings, postgres_server: str) -> None:
    talk.model.script({"delay_s": 0.3, "status": 500})
    working = talk.thinking_of(talk.said("Hello."))
    await talk.model.until(lambda bill: len(bill) == 1)
    with database_away(postgres_server, shared_settings.database_url or ""):
        await talk.model.until(lambda bill: bill[0]["state"] == "refused")
        await asyncio.sleep(0.3)
        assert not working.done()
    await failed_with(asyncio.wait_for(working, 10))
    assert await talk.agreed() == {1: "failed"}


async def test_nothing_is_called_that_is_not_reserved(
    talk: Talk, shared_settings: Settings, postgres_server: str
) -> None:
    thought = talk.said("Hello.")
    with (
        database_away(postgres_server, shared_settings.database_url or ""),
        pytest.raises(Unavailable),
    ):
        await talk.think(thought)
    assert talk.model.bill() == []
    await talk.think(thought, attempt=2)
    assert await talk.agreed() == {1: "settled"}


async def test_earlier_turns_are_remembered_however_few_may_be_kept(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_MOST_KNOWN", 2)
    for number in range(1, 7):
        await talk.think(talk.said(f"Message {number}", number))
    sent = talk.model.requests()[-1]["messages"]
    assert [said["content"] for said in sent if said["role"] == "user"] == [f"Message {n}" for n in range(1, 7)]


async def test_an_erased_message_cannot_be_answered(talk: Talk) -> None:
    ref = replace(talk.ref("Hello."), message_hash=content_hash("never stored"))
    with pytest.raises(NotFound):
        await talk.think(StepRequest(ref, "chat"))
    assert talk.model.bill() == []


async def test_answers_lose_the_one_character_that_cannot_be_stored(talk: Talk) -> None:
    talk.model.script({"text": "a\x00b"})
    assert talk.text((await talk.think(talk.said("Hello."))).reply_hash) == "ab"


async def test_a_summary_is_made_once(talk: Talk) -> None:
    for number in (1, 2):
        await talk.think(talk.said(f"Message {number}", number))
    talk.model.script({"contains": "User: ", "text": "Two messages."})
    wanted = SummaryRequest(talk.ref("Message 2", 2), "chat", first=1, upto=2)
    summaries = [await environment().run(talk.summarising.summarise, wanted) for _ in range(2)]
    assert [summary.upto for summary in summaries] == [2, 2]
    assert talk.text(summaries[0].summary_hash) == "Two messages."
    assert len(talk.model.bill()) == 3
    [event] = talk.system.parts.ledger.read(sessions.summary_stream(talk.session_id, 2))
    assert isinstance(event, SessionSummarised)
    head = talk.chat.open_session(OpenSessionRequest(talk.session_id, AGENT, "anonymous", "chat", "req_2"))
    assert (head.turn, head.first, head.summary_hash) == (2, 3, summaries[0].summary_hash)


async def test_an_empty_summary_is_none(talk: Talk) -> None:
    await talk.think(talk.said("Message 1"))
    talk.model.script({"contains": "User: ", "empty": True})
    wanted = SummaryRequest(talk.ref("Message 1"), "chat", first=1, upto=1)
    error = await failed_with(environment().run(talk.summarising.summarise, wanted))
    assert error.non_retryable
    assert talk.system.parts.ledger.read(sessions.summary_stream(talk.session_id, 1)) == []


async def test_a_session_is_opened_once_and_knows_its_turns(talk: Talk) -> None:
    opening = OpenSessionRequest(talk.session_id, "amy_cfo", "another_key", "chat", "req_2")
    head = talk.chat.open_session(opening)
    assert (head.agent_id, head.key_id, head.ended, head.turn) == (AGENT, "anonymous", False, 0)
    await talk.think(talk.said("Message 1"))
    talk.chat.fail_turn(TurnFailure(talk.ref("Message 2", 2), "UPSTREAM_ERROR", "no answer"))
    await failed_with(talk.think(talk.said("Message 3 [[fail 500]]", 3)))
    recent = talk.chat.open_session(opening).recent
    assert [(turn.turn, turn.completed, turn.running, turn.code) for turn in recent] == [
        (1, True, False, None),
        (2, False, False, "UPSTREAM_ERROR"),
        (3, False, True, None),
    ]


async def test_a_turn_is_given_up_once_and_only_without_an_answer(talk: Talk) -> None:
    given_up = TurnFailure(talk.ref("Message 1"), "UPSTREAM_ERROR", "no answer")
    for _ in range(2):
        talk.chat.fail_turn(given_up)
    assert (talk.turn().status, talk.turn().version, talk.turn().visits) == ("failed", 2, 1)
    talk.chat.fail_turn(replace(given_up, visit=2, message="still none"))
    assert (talk.turn().error, talk.turn().version, talk.turn().visits) == ("still none", 4, 2)
    await talk.think(talk.said("Message 1", visit=3))
    talk.chat.fail_turn(replace(given_up, visit=3))
    assert (talk.turn().status, talk.turn().visits) == ("completed", 3)


async def test_another_messages_turn_is_not_taken(talk: Talk) -> None:
    await talk.think(talk.said("Message 1"))
    other = replace(talk.said("Message 2"), turn=replace(talk.ref("Message 2"), message_id="another"))
    with pytest.raises(Conflict):
        await talk.think(other)
    assert len(talk.model.bill()) == 1


async def test_a_session_is_ended_once_and_in_its_tenant(talk: Talk) -> None:
    with pytest.raises(NotFound):
        talk.chat.end_session(EndSessionRequest(f"acme~{talk.session_id}", "anonymous", "req_2"))
    with pytest.raises(NotFound):
        talk.chat.end_session(EndSessionRequest("session_of_nobody", "anonymous", "req_2"))
    for _ in range(2):
        talk.chat.end_session(EndSessionRequest(talk.session_id, "anonymous", "req_2"))
    stream = sessions.session_stream(talk.session_id)
    assert len(talk.system.parts.ledger.read(stream)) == 2


@pytest.mark.parametrize("visit", [1, 0, -5])
async def test_a_turn_that_is_given_up_has_begun_whatever_try_it_is_said_to_be(talk: Talk, visit: int) -> None:
    given_up = TurnFailure(talk.ref("Hello."), "UPSTREAM_ERROR", "it broke", visit=visit)
    environment().run(talk.chat.fail_turn, given_up)
    assert [type(event).__name__ for event in talk.events()] == ["TurnStarted", "TurnFailed"]


@pytest.mark.parametrize("last", [10**6, 2**63, 10**30])
async def test_the_words_of_a_turn_with_an_absurd_number_take_no_more_work_than_those_of_a_long_session(
    talk: Talk, last: int
) -> None:
    parts, asked = talk.system.parts, []

    class Watched:
        def read_many(self, streams: list[str]) -> dict[str, list[Any]]:
            asked.extend(streams)
            return {}

    remembered = ChatHistory(Watched(), parts.content, parts.agents)  # type: ignore[arg-type]
    assert remembered.read_texts(talk.session_id, 1, last).turns == ()
    assert len(asked) == memory.MOST_TURNS
