"""Everything dies at once, with work accepted and not done, and is started again."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from runtime.embedded import Ports
from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.talks import assert_each_message_has_one_answered_turn, talking
from tests.chaos.whole import CHAT, Whole, kill_everything, whole, within
from tests.scripted_model import ScriptedModel, start_scripted_model

pytestmark = pytest.mark.prove

ACCEPTED = "Are you still there? [[delay 4]]"
ROUNDS, ROUND_S = 3, 6.0
SPENT = ("total_cost", "total_tokens", "requests")


async def test_sessions_go_on_after_everything_was_killed_at_once(tmp_path: Path, measured: Say) -> None:
    with start_scripted_model(bill=tmp_path / "bill.jsonl") as model:
        async with whole(tmp_path, model) as first:
            session = await three_turns(first)
            spent, history = await first.usage(), await first.turns(session)
            accepted = await accept(first)
            victims = await kill_everything(first)
        async with whole(tmp_path, model) as second:
            usage = await second.usage()
            assert {figure: usage[figure] for figure in SPENT} == {figure: spent[figure] for figure in SPENT}
            assert await second.turns(session) == history
            turn = await within(60, second.answered(accepted, ACCEPTED))
            assert turn["turn"] == 1
            await it_goes_on(second, session, model)
            agreed = assert_books_agree(await second.calls(), model.bill())
    measured(
        f"{victims} processes killed at once: history and usage as before, the accepted message answered,"
        f" books and bill agree: {dict(agreed)}"
    )


async def test_nothing_is_lost_though_everything_is_killed_again_and_again_under_load(
    tmp_path: Path, measured: Say
) -> None:
    async with AsyncExitStack() as stack:
        model = stack.enter_context(start_scripted_model(bill=tmp_path / "bill.jsonl"))
        port, victims = Ports().pick(), []
        system = await stack.enter_async_context(whole(tmp_path, model, port))
        async with talking(system) as talks:
            for _ in range(ROUNDS):
                await asyncio.sleep(ROUND_S)
                victims.append(await kill_everything(system))
                system = await stack.enter_async_context(whole(tmp_path, model, port))
        await assert_each_message_has_one_answered_turn(system, talks)
        agreed = assert_books_agree(await system.ended_calls(), model.bill())
        await system.command("rebuild", "--check")
    measured(
        f"{' + '.join(map(str, victims))} processes killed, all at once, {ROUNDS} times under load:"
        f" {sum(len(each.said) for each in talks)} messages, each answered once; calls {dict(agreed)}"
    )


async def three_turns(system: Whole) -> str:
    """A session with three answered turns."""
    session = ""
    for number in (1, 2, 3):
        response = await system.say(f"This is number {number}.", session or None)
        assert response.status_code == httpx.codes.OK, response.text
        session = response.json()["session_id"]
    return session


async def accept(system: Whole) -> str:
    """A message that is accepted and on its way to the provider: its session."""
    response = await system.say(ACCEPTED, wait=False)
    assert response.status_code == httpx.codes.ACCEPTED, response.text
    assert response.headers["location"] == f"{CHAT}/{response.json()['session_id']}"
    await system.model.until(lambda bill: bill[-1]["state"] == "started")
    return str(response.json()["session_id"])


async def it_goes_on(system: Whole, session: str, model: ScriptedModel) -> None:
    """A fourth turn is answered by a model that was told the first three."""
    response = await system.say("And this is number 4.", session)
    assert response.status_code == httpx.codes.OK, response.text
    assert response.json()["turn"] == 4
    told = [message["content"] for message in model.requests()[-1]["messages"] if message["role"] == "user"]
    assert told == ["This is number 1.", "This is number 2.", "This is number 3.", "And this is number 4."]
