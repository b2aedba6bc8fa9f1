"""Answers that take long, in the books: what of them is booked, and that each model has its own time."""

from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.chat.history import ChatHistory
from activities.chat.model_step import ModelStepActivities
from activities.chat.tool_offers import ToolOffers
from activities.costs.bookkeeping import CostLedger
from activities.costs.model_call import ModelCalls
from runtime.wiring.parts import now
from tests.chat.test_activities import environment
from tests.chat.test_broken_steps import thought_in
from tests.scripted_model import ScriptedModel
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

USUAL_S, OWN_S = 0.8, 60.0
STEADY = {"tokens": 120, "tokens_per_chunk": 10, "inter_chunk_delay_s": 0.15}
ENDLESS = {**STEADY, "tokens": 4000}


async def thought(system: System, model: str) -> tuple[list[dict[str, Any]], ApplicationError | None]:
    """One attempt of a turn on this model: the calls as the ledger lists them, and how it failed."""
    parts = system.parts
    books = CostLedger(parts.ledger, parts.prices, now)
    times = {"patient": timedelta(seconds=OWN_S), "hasty": timedelta(seconds=0.4)}
    thinking = ModelStepActivities(
        ChatHistory(parts.ledger, parts.content, parts.agents),
        parts.content,
        books,
        ModelCalls(books, parts.model, now, timeout=timedelta(seconds=USUAL_S), timeouts=times),
        offers=ToolOffers(parts.toolbox),
        now=now,
        default_model=model,
        max_answer_tokens=4096,
    )
    asked, failed = thought_in(system), None
    try:
        await environment().run(thinking.think, asked)
    except ApplicationError as error:
        failed = error
    return await system.calls(session_id=asked.turn.session_id), failed


async def test_an_answer_that_exceeds_its_time_is_booked_as_cut_and_not_asked_for_again(
    unworked: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(ENDLESS)
    [call], failed = await thought(unworked, "scripted")
    assert (call["state"], call["error"], call["estimated"]) == ("cut", "timeout", True)
    assert call["completion_tokens"] >= 10
    assert failed is not None
    assert (failed.type, failed.non_retryable) == ("UPSTREAM_ERROR", True)
    assert len(scripted_model.bill()) == 1


async def test_a_model_with_a_longer_time_of_its_own_answers_whole_and_is_settled(
    unworked: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(STEADY)
    [call], failed = await thought(unworked, "patient")
    assert failed is None
    assert (call["state"], call["completion_tokens"], call["estimated"]) == ("settled", 120, False)


async def test_a_model_with_a_shorter_time_of_its_own_is_cut_sooner(
    unworked: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"hang": True})
    [call], failed = await thought(unworked, "hasty")
    assert (call["state"], call["error"]) == ("unknown", "timeout")
    assert failed is not None
    assert not failed.non_retryable, "nothing of it came, so it may come the next time"
