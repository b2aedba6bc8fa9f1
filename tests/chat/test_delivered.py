"""Messages that were handed over without a worker: each is taken once, whichever way it comes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from activities.chat.messages import EndSessionRequest, KnownTurn, SessionHead
from tests.chat.stage import AGENT, KEY, Chat, Stage, chat, performing, saying
from tests.system import new_namespace, until
from workflows.chat.messages import ChatResult, ChatStart
from workflows.chat.workflow import ChatWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(temporal_address: str) -> Client:
    """A client on a namespace of the module's own."""
    namespace = await new_namespace(temporal_address)
    return await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)


async def deliver(handle: Chat, message_id: str, **more: object) -> None:
    await handle.signal(ChatWorkflow.deliver, saying(message_id, **more))


async def end(handle: Chat) -> None:
    await handle.execute_update(ChatWorkflow.end, EndSessionRequest(handle.id.removeprefix("chat-"), KEY, "req_2"))


def messages(stage: Stage) -> list[str]:
    """The messages that were thought about, each time."""
    return [thought.turn.message_id for thought in stage.thoughts]


async def thought(stage: Stage, count: int) -> list[str]:
    await until(partial(asyncio.sleep, 0), lambda _: len(stage.thoughts) >= count, seconds=20)
    return messages(stage)


async def test_a_message_that_comes_both_ways_is_answered_once(client: Client) -> None:
    stage = Stage()
    handle = await chat(client, stage)
    asking = asyncio.create_task(handle.execute_update(ChatWorkflow.say, saying("a"), id="a"))
    await asyncio.sleep(0.2)  # Temporal has the update by then, and no worker
    await deliver(handle, "a")
    await deliver(handle, "a")
    async with performing(client, stage):
        said = await asyncio.wait_for(asking, 20)
        assert (said.turn, said.status) == (1, "completed")
        await deliver(handle, "a")
        again = await handle.execute_update(ChatWorkflow.say, saying("a"), id="a-again")
        assert again == said
        await end(handle)
        await handle.result()
    assert messages(stage) == ["a"]


async def test_a_delivered_message_opens_a_session_by_itself(client: Client) -> None:
    stage = Stage()
    start = ChatStart("session_by_signal", AGENT, KEY, "req_1", pause_s=0.01)
    for message in ("a", "b", "a"):
        await client.start_workflow(
            ChatWorkflow.run,
            start,
            id="chat-session_by_signal",
            task_queue=stage.queue,
            start_signal="deliver",
            start_signal_args=[saying(message)],
        )
    async with performing(client, stage):
        assert await thought(stage, 2) == ["a", "b"]
        await end(client.get_workflow_handle_for(ChatWorkflow.run, "chat-session_by_signal"))
    assert messages(stage) == ["a", "b"]


async def test_a_run_that_continues_as_new_takes_delivered_messages_along(client: Client) -> None:
    stage = Stage()
    async with performing(client, stage):
        handle = await chat(client, stage, turns_per_run=3)
        ids = [f"message {number}" for number in range(20)]
        await asyncio.gather(*(deliver(handle, message_id) for message_id in [*ids, *ids]))
        assert sorted(await thought(stage, 20)) == sorted(ids)
        said = await handle.execute_update(ChatWorkflow.say, saying("message 19"))
        assert said.status == "completed"
        await end(handle)
    assert sorted(messages(stage)) == sorted(ids)
    assert sorted(thought.turn.turn for thought in stage.thoughts) == list(range(1, 21))


async def test_a_message_that_an_earlier_run_has_answered_is_not_answered_again(client: Client) -> None:
    known = [KnownTurn(4, "a", completed=True, reply_hash="hash"), KnownTurn(5, "b", completed=False, code="CANCELLED")]
    stage = Stage(
        head=SessionHead(AGENT, KEY, ended=False, turn=5, first=1, summary_hash=None, recent=known, model_queue="")
    )
    handle = await chat(client, stage)
    for message in ("a", "b", "c"):
        await deliver(handle, message)
    async with performing(client, stage):
        assert await thought(stage, 1) == ["c"]
        await end(handle)
    assert [thought.turn.turn for thought in stage.thoughts] == [6]


async def test_a_message_of_a_turn_that_a_run_was_stopped_in_keeps_its_turn(client: Client) -> None:
    known = [KnownTurn(4, "a", completed=False, running=True, visits=2)]
    stage = Stage(
        head=SessionHead(AGENT, KEY, ended=False, turn=4, first=1, summary_hash=None, recent=known, model_queue="")
    )
    handle = await chat(client, stage)
    await deliver(handle, "a")
    async with performing(client, stage):
        assert await thought(stage, 1) == ["a"]
        await end(handle)
    assert [(thought.turn.turn, thought.visit) for thought in stage.thoughts] == [(4, 2)]


async def test_a_failed_message_that_is_delivered_again_is_tried_again_once(client: Client) -> None:
    stage = Stage()
    stage.failures.append(ApplicationError("no", type="UPSTREAM_ERROR", non_retryable=True))
    async with performing(client, stage):
        handle = await chat(client, stage)
        await deliver(handle, "a")
        await until(partial(asyncio.sleep, 0), lambda _: bool(stage.given_up), seconds=20)
        await deliver(handle, "a")
        for _ in range(2):
            await deliver(handle, "a", visit=2, again=1)
        assert await thought(stage, 2) == ["a", "a"]
        await end(handle)
    assert [(thought.turn.turn, thought.visit) for thought in stage.thoughts] == [(1, 1), (1, 2)]


@pytest.mark.parametrize(
    ("head", "more", "sentence"),
    [
        ({"ended": True}, {}, "this session has ended"),
        ({}, {"agent_id": "another"}, f"this session is with {AGENT}"),
    ],
)
async def test_a_delivered_message_that_is_refused_has_a_turn_that_says_so(
    client: Client, head: dict[str, object], more: dict[str, object], sentence: str
) -> None:
    stage = Stage()
    stage.head = replace(
        SessionHead(AGENT, KEY, ended=False, turn=2, first=1, summary_hash=None, recent=[], model_queue=""),
        **head,  # type: ignore[arg-type]
    )
    handle = await chat(client, stage)
    await deliver(handle, "a", **more)
    async with performing(client, stage):
        await until(partial(asyncio.sleep, 0), lambda _: bool(stage.given_up), seconds=20)
        said: ChatResult = (
            await handle.execute_update(ChatWorkflow.say, saying("a", **more)) if not head else ChatResult(3, "failed")
        )
        assert (said.turn, said.status) == (3, "failed")
        if not head:
            await end(handle)
        await handle.result()
    [given_up] = stage.given_up
    assert (given_up.turn.turn, given_up.code, given_up.message) == (3, "CONFLICT", sentence)
    assert stage.thoughts == []


async def test_a_message_of_another_key_is_answered_like_any_other(client: Client) -> None:
    stage = Stage()
    handle = await chat(client, stage)
    await deliver(handle, "a", key_id="another_key_of_the_tenant")
    await deliver(handle, "b")
    async with performing(client, stage):
        assert await thought(stage, 2) == ["a", "b"]
        await end(handle)
    assert stage.given_up == []


async def test_what_was_delivered_before_the_end_is_answered_and_what_came_after_is_not(client: Client) -> None:
    stage = Stage()
    handle = await chat(client, stage)
    await deliver(handle, "before")
    await handle.signal(ChatWorkflow.close, EndSessionRequest(handle.id.removeprefix("chat-"), KEY, "req_2"))
    await handle.signal(ChatWorkflow.close, EndSessionRequest(handle.id.removeprefix("chat-"), KEY, "req_2"))
    async with performing(client, stage):
        await asyncio.wait_for(handle.result(), 20)
        assert messages(stage) == ["before"]
        assert (await handle.describe()).close_time is not None
    assert len(stage.endings) in {1, 2}


async def test_a_worker_that_dies_in_a_delivered_message_loses_nothing(client: Client) -> None:
    stage = Stage()
    stage.thinking_goes_on.clear()
    handle = await chat(client, stage)
    await deliver(handle, "a")
    async with performing(client, stage):
        await thought(stage, 1)
        await deliver(handle, "b")
        stage.thinking_goes_on.set()
        await asyncio.sleep(timedelta(milliseconds=50).total_seconds())
    async with performing(client, stage):
        assert (await thought(stage, 2))[-1] == "b"
        await end(handle)
