"""Whatever happens to workers and the database while an answer is settled, it has one signature, and that verifies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from activities.chat.activities import ChatActivities
from activities.chat.history import ChatHistory
from activities.chat.messages import OpenSessionRequest
from activities.chat.model_step import ModelStepActivities
from activities.chat.summary import SummaryActivities
from activities.chat.tool_offers import ToolOffers
from activities.costs.bookkeeping import CostLedger
from activities.costs.model_call import ModelCalls
from domain.chat.events import TurnAnswered
from domain.content import content_hash
from domain.signatures.ports import Signer
from runtime.settings import Settings
from runtime.wiring.parts import now
from tests.chat.test_activities import Talk
from tests.outages import database_away
from tests.scripted_model import ScriptedModel
from tests.signatures.test_turns import verified
from tests.system import AGENT, System, running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
MakeTalk = Callable[[Signer], Talk]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unworked(shared_settings: Settings) -> AsyncIterator[System]:
    """The system without a worker: the activities are what the tests make of them."""
    async with running(shared_settings, working=False) as started:
        await until(lambda: started.http.get(f"/api/v1/agents/{AGENT}"), lambda response: response.is_success)
        yield started


@pytest.fixture
def make_talk(unworked: System, scripted_model: ScriptedModel) -> MakeTalk:
    def make(signer: Signer) -> Talk:
        parts = unworked.parts
        books = CostLedger(parts.ledger, parts.prices, now)
        calls = ModelCalls(books, parts.model, now, timeout=timedelta(seconds=30))
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
            signer=signer,
        )
        chat = ChatActivities(parts.ledger, now, model_queue="a-queue")
        session_id = f"session_{uuid4().hex}"
        chat.open_session(OpenSessionRequest(session_id, AGENT, "anonymous", f"chat-{session_id}", "req_1"))
        summarising = SummaryActivities(remembered, calls, now, default_model="scripted")
        return Talk(unworked, scripted_model, chat, thinking, summarising, session_id)

    return make


def answers(talk: Talk) -> list[TurnAnswered]:
    return [event for event in talk.events() if isinstance(event, TurnAnswered)]


async def test_of_two_workers_that_settle_one_turn_at_once_one_signs_it(unworked: System, make_talk: MakeTalk) -> None:
    for _ in range(5):
        talk = make_talk(unworked.parts.signatures.signer)
        talk.model.script({"text": "The first.", "delay_s": 0.2}, {"text": "The second.", "delay_s": 0.0})
        thought = talk.said("What is it?")
        one = talk.thinking_of(thought)
        await talk.model.until(bool, seconds=10)
        other = talk.thinking_of(thought, attempt=2)
        results = await asyncio.gather(one, other)
        (answered,) = answers(talk)
        assert {result.reply_hash for result in results} == {answered.reply_hash}
        assert verified(unworked, answered.signature)["content_hash"] == answered.reply_hash
        talk.model.reset()


async def test_a_retry_after_the_settlement_returns_what_was_signed(unworked: System, make_talk: MakeTalk) -> None:
    talk = make_talk(unworked.parts.signatures.signer)
    thought = talk.said("What is it?")
    first = await talk.think(thought)
    (before,) = answers(talk)
    assert (await talk.think(thought, attempt=2)).reply_hash == first.reply_hash
    assert answers(talk) == [before]
    verified(unworked, before.signature)


async def test_an_answer_waits_for_the_database_and_is_signed_then(
    unworked: System, make_talk: MakeTalk, shared_settings: Settings, postgres_server: str
) -> None:
    talk = make_talk(unworked.parts.signatures.signer)
    talk.model.script({"text": "After the outage.", "delay_s": 1.0})
    thinking = talk.thinking_of(talk.said("What is it?"))
    await talk.model.until(bool, seconds=10)
    with database_away(postgres_server, shared_settings.database_url or ""):
        await asyncio.sleep(3)
        assert not thinking.done()
    await asyncio.wait_for(thinking, 30)
    (answered,) = answers(talk)
    assert verified(unworked, answered.signature)["content_hash"] == content_hash("After the outage.")


async def test_an_answer_that_cannot_be_signed_is_recorded_all_the_same(make_talk: MakeTalk) -> None:
    class NoKey:
        def sign(self, statement: object) -> None:
            return None

    talk = make_talk(NoKey())
    await talk.think(talk.said("What is it?"))
    (answered,) = answers(talk)
    assert answered.signature is None
