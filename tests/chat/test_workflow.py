"""The `ChatWorkflow` workflow: on a stage with activities that do as they are told, on a real engine."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sized
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from activities.chat.messages import EndSessionRequest, KnownTurn, SessionHead, StepResult, Summary
from domain.chat.policy import IDLE_TIMEOUT, REMEMBERED_MESSAGES
from tests.chat.stage import AGENT, KEY, Chat, Stage, chat, performing, saying
from tests.system import new_namespace, until
from workflows.chat.messages import MOVED, ChatResult, ChatStart
from workflows.chat.workflow import ChatWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="module")

_ELSEWHERE = {MOVED, "AcceptedUpdateCompletedWorkflow"}
TEST_SERVER = Path(sys.executable).with_name("temporal-test-server")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(temporal_address: str) -> Client:
    """A client on a namespace of the module's own."""
    namespace = await new_namespace(temporal_address)
    return await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(client: Client) -> AsyncIterator[Stage]:
    async with performing(client, Stage()) as made:
        yield made


def a_head(**more: object) -> SessionHead:
    values = {"ended": False, "turn": 0, "first": 1, "summary_hash": None, "recent": [], "model_queue": ""}
    return SessionHead(AGENT, KEY, **{**values, **more})  # type: ignore[arg-type]


async def say(handle: Chat, message_id: str, **more: object) -> ChatResult:
    """Say it, and again in the next run when this one says so."""
    try:
        return await handle.execute_update(ChatWorkflow.say, saying(message_id, **more))
    except WorkflowUpdateFailedError as error:
        if not isinstance(error.cause, ApplicationError) or error.cause.type not in _ELSEWHERE:
            raise
        return await say(handle, message_id, **more)
    except RPCError as error:  # under load the server forgets an update that it has not handed on yet
        if error.status is not RPCStatusCode.UNAVAILABLE:
            raise
        return await say(handle, message_id, **more)


async def end(handle: Chat) -> None:
    await handle.execute_update(ChatWorkflow.end, EndSessionRequest(handle.id.removeprefix("chat-"), KEY, "req_2"))


async def why_refused(handle: Chat, message_id: str, **more: object) -> str | None:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await say(handle, message_id, **more)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause.type


async def grown(asked: Sized, count: int) -> None:
    """Return when so much was asked."""
    await until(partial(asyncio.sleep, 0, asked), lambda it: len(it) == count)


async def runs_of(client: Client, handle: Chat) -> int:
    """How many runs this chat has had, as Temporal links them."""
    count, run_id = 0, (await client.get_workflow_handle(handle.id).describe()).run_id
    while run_id:
        count += 1
        history = await client.get_workflow_handle(handle.id, run_id=run_id).fetch_history()
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return count


async def test_turns_are_numbered_and_a_repeat_gets_its_own(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage)
    said = [await say(handle, message) for message in ("a", "b", "a", "c")]
    assert [one.turn for one in said] == [1, 2, 1, 3]
    assert said[0] == said[2]
    assert said[0] == ChatResult(1, "completed", "hash", "a-model", 10, 5, "0.25", visit=1, because="req_1")
    assert [thought.turn.message_id for thought in stage.thoughts] == ["a", "b", "c"]
    await end(handle)
    await handle.result()


async def test_a_run_continues_as_new_and_loses_nobody_under_load(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage, turns_per_run=7)
    gate = asyncio.Semaphore(8)

    async def one(number: int) -> ChatResult:
        async with gate:
            return await say(handle, f"message {number}")

    said = await asyncio.gather(*(one(number) for number in range(60)))
    assert sorted(answer.turn for answer in said) == list(range(1, 61))
    assert sorted(thought.turn.turn for thought in stage.thoughts) == list(range(1, 61))
    assert await runs_of(client, handle) in range(60 // 7, 60 // 7 + 3)
    await end(handle)


async def test_a_repeat_is_known_after_continuing_as_new(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage, turns_per_run=2)
    first = [await say(handle, message) for message in ("a", "b", "c", "d", "e")]
    again = [await say(handle, message) for message in ("a", "b", "c", "d", "e")]
    assert [said.turn for said in again] == [said.turn for said in first]
    assert len(stage.thoughts) == 5
    assert await runs_of(client, handle) >= 3
    await end(handle)


async def test_a_message_that_comes_while_the_run_is_leaving_is_answered(client: Client, stage: Stage) -> None:
    """Its turns are used up, and an `end` that has begun keeps it from leaving."""
    handle = await chat(client, stage, turns_per_run=1)
    stage.thinking_goes_on.clear()
    stage.ending_goes_on.clear()
    first = asyncio.create_task(say(handle, "a"))
    await grown(stage.thoughts, 1)
    ending = asyncio.create_task(end(handle))
    await asyncio.sleep(0.1)
    stage.thinking_goes_on.set()
    assert (await first).turn == 1
    late = asyncio.create_task(say(handle, "late"))
    await until(lambda: handle.query(ChatWorkflow.status), lambda status: status.pending == 1)
    stage.ending_goes_on.set()
    assert (await asyncio.wait_for(late, 5)).turn == 2
    await ending
    await until(handle.describe, lambda run: run.status is WorkflowExecutionStatus.COMPLETED)


async def test_what_was_said_before_the_end_is_answered(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage)
    stage.thinking_goes_on.clear()
    waiting = [asyncio.create_task(say(handle, message)) for message in ("a", "b", "c")]
    await until(lambda: handle.query(ChatWorkflow.status), lambda status: status.pending == 3)
    await end(handle)
    status = await handle.query(ChatWorkflow.status)
    assert (status.pending, status.ended) == (3, True)
    assert await why_refused(handle, "d") == "Conflict"
    stage.thinking_goes_on.set()
    assert sorted(said.turn for said in await asyncio.gather(*waiting)) == [1, 2, 3]
    await handle.result()
    assert len(stage.endings) == 1


async def test_ending_twice_is_ending_once(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage)
    stage.ending_goes_on.clear()
    ends = [asyncio.create_task(end(handle)) for _ in range(2)]
    await until(lambda: handle.query(ChatWorkflow.status), lambda status: not status.ended)
    stage.ending_goes_on.set()
    await asyncio.gather(*ends)
    await handle.result()


async def test_who_may_not_speak_is_refused_and_the_chat_goes_on(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage)
    assert await why_refused(handle, "b", agent_id="another_agent") == "Conflict"
    assert (await say(handle, "c", key_id="another_key_of_the_tenant")).turn == 1
    await end(handle)


async def test_a_session_that_has_ended_refuses_and_its_run_is_over(client: Client, stage: Stage) -> None:
    stage.head = a_head(ended=True)
    opening = WithStartWorkflowOperation(
        ChatWorkflow.run,
        ChatStart("ended", AGENT, KEY, "req_1"),
        id="chat-ended",
        task_queue=stage.queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await client.execute_update_with_start_workflow(ChatWorkflow.say, saying("a"), start_workflow_operation=opening)
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "Conflict"
    handle = await opening.workflow_handle()
    await asyncio.wait_for(handle.result(), 5)


async def test_a_failed_turn_says_why_and_the_next_is_answered(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage)
    for code, told in (("UPSTREAM_ERROR", "UPSTREAM_ERROR"), ("SomethingElse", "INTERNAL_ERROR")):
        stage.failures.append(ApplicationError("no answer", type=code, non_retryable=True))
        said = await say(handle, f"fails with {code}")
        assert (said.status, said.code, said.error) == ("failed", told, "no answer")
    assert [given_up.turn.turn for given_up in stage.given_up] == [1, 2]
    assert (await say(handle, "works")).status == "completed"
    await end(handle)


async def test_a_failed_message_is_tried_again_at_its_place_and_in_a_new_run(client: Client, stage: Stage) -> None:
    failed = KnownTurn(3, "a", completed=False, visits=2, code="UPSTREAM_ERROR", error="no answer")
    stage.head = a_head(turn=5, recent=[failed])
    handle = await chat(client, stage)
    same = await say(handle, "a", visit=2)
    assert (same.turn, same.status, same.visit, same.because) == (3, "failed", 2, "")
    again = await say(handle, "a", visit=3, again=3)
    assert (again.turn, again.status, again.visit) == (3, "completed", 3)
    assert (await say(handle, "b")).turn == 6
    await end(handle)


async def test_a_turn_that_its_run_was_stopped_in_keeps_its_place(client: Client, stage: Stage) -> None:
    stage.head = a_head(turn=5, recent=[KnownTurn(5, "a", completed=False, visits=2, running=True)])
    handle = await chat(client, stage)
    assert (await say(handle, "b")).turn == 6
    assert (await say(handle, "a")).turn == 5
    assert [thought.visit for thought in stage.thoughts] == [1, 2]
    assert (await say(handle, "c")).turn == 7
    await end(handle)


async def test_a_nearly_full_window_is_summarised_and_the_summary_used(client: Client, stage: Stage) -> None:
    stage.answer = StepResult("hash", "stop", "a-model", 700, 100, "0", 1000)
    handle = await chat(client, stage)
    for message in ("a", "b", "c"):
        await say(handle, message)
    await grown(stage.summarised, 2)
    assert [(wanted.first, wanted.upto) for wanted in stage.summarised] == [(1, 1), (2, 2)]
    assert [(thought.first, thought.summary_hash) for thought in stage.thoughts] == [
        (1, None),
        (1, None),
        (2, "summary"),
    ]
    await end(handle)


async def test_a_summary_that_fails_does_not_stop_the_chat(client: Client, stage: Stage) -> None:
    stage.answer = StepResult("hash", "stop", "a-model", 700, 100, "0", 1000)
    refused = ApplicationError("no summary", type="UPSTREAM_ERROR", non_retryable=True)
    stage.summaries.extend([refused, Summary(2, "second try")])
    handle = await chat(client, stage)
    for message in ("a", "b", "c", "d"):
        assert (await say(handle, message)).status == "completed"
    assert [(thought.first, thought.summary_hash) for thought in stage.thoughts] == [
        (1, None),
        (1, None),
        (1, None),
        (3, "second try"),
    ]
    await end(handle)


async def test_a_cancelled_chat_gives_up_what_has_no_answer_and_says_so(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage)
    await say(handle, "a")
    stage.thinking_goes_on.clear()
    waiting = [asyncio.create_task(say(handle, message)) for message in ("b", "c")]
    await until(lambda: handle.query(ChatWorkflow.status), lambda status: status.pending == 2)
    await grown(stage.thoughts, 2)
    await handle.cancel()
    said = await asyncio.gather(*waiting)
    assert sorted((one.turn, one.status, one.code) for one in said) == [
        (2, "failed", "SERVICE_UNAVAILABLE"),
        (3, "failed", "SERVICE_UNAVAILABLE"),
    ]
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    assert [given_up.turn.turn for given_up in stage.given_up] == [2, 3]


async def test_a_chat_cancelled_while_nobody_speaks_is_over(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage)
    await say(handle, "a")
    await handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert stage.given_up == []


async def test_a_run_knows_its_newest_messages_only(client: Client, stage: Stage) -> None:
    handle = await chat(client, stage)
    for number in range(REMEMBERED_MESSAGES + 2):
        await say(handle, f"message {number}")
    assert (await say(handle, f"message {REMEMBERED_MESSAGES}")).turn == REMEMBERED_MESSAGES + 1
    assert len(stage.thoughts) == REMEMBERED_MESSAGES + 2
    assert (await say(handle, "message 0", again=1)).turn == 1  # the ledger knows it, so there is no second call
    await end(handle)


async def test_a_chat_nobody_speaks_in_gives_its_run_back() -> None:
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=pydantic_data_converter, test_server_existing_path=str(TEST_SERVER)
    ) as skipping:
        stage = Stage()
        async with performing(skipping.client, stage):
            handle = await chat(skipping.client, stage)
            await say(handle, "a")
            await skipping.sleep(IDLE_TIMEOUT - timedelta(hours=1))
            await say(handle, "b")
            await skipping.sleep(timedelta(hours=2))
            assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
            await skipping.sleep(IDLE_TIMEOUT)
            assert (await handle.describe()).status is WorkflowExecutionStatus.COMPLETED
            next_run = await chat(skipping.client, stage)
            assert (await say(next_run, "a")).turn == 1
            assert (await say(next_run, "c")).turn == 3
