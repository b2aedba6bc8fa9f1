"""Messages to a chat's run from somebody who reaches Temporal, and sends what nobody of ours would."""

from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError

from tests.chat.stage import KEY, Chat, Stage, chat, performing, saying
from tests.system import new_namespace
from workflows.chat.workflow import ChatWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(temporal_address: str) -> Client:
    """A client on a namespace of the module's own."""
    namespace = await new_namespace(temporal_address)
    return await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)


async def say(handle: Chat, message_id: str, **more: Any) -> Any:
    return await handle.execute_update(ChatWorkflow.say, saying(message_id, **more), id=message_id)


ENDING = {"session_id": "x", "key_id": KEY, "because": "req_1"}


@pytest.mark.parametrize(
    ("signal", "arguments"),
    [
        ("deliver", []),
        ("deliver", [None]),
        ("deliver", ["x"]),
        ("deliver", [1, 2, 3]),
        ("close", []),
        ("close", [None]),
        ("close", [ENDING, 1]),
        ("approval_decided", []),
        ("approval_decided", [{"approval_id": []}]),
        ("approval_decided", [{"approval_id": {"a": 1}}, None, 5]),
        ("nobody_listens_to_this", [1]),
    ],
)
async def test_a_signal_that_its_handler_cannot_take_does_not_stop_the_chat(
    client: Client, signal: str, arguments: list[Any]
) -> None:
    stage = Stage()
    handle = await chat(client, stage)
    async with performing(client, stage):
        await handle.signal(signal, args=arguments)
        assert (await say(handle, "a")).status == "completed"


@pytest.mark.parametrize("update", ["say", "end"])
@pytest.mark.parametrize("arguments", [[], [None], [1, 2]])
async def test_an_update_that_its_handler_cannot_take_is_refused_and_the_chat_goes_on(
    client: Client, update: str, arguments: list[Any]
) -> None:
    stage = Stage()
    handle = await chat(client, stage)
    async with performing(client, stage):
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(update, args=arguments)
        assert (await say(handle, "a")).status == "completed"


@pytest.mark.parametrize(
    "more", [{"again": 10**30}, {"again": 2}, {"again": 0}, {"again": -1}, {"visit": -5}, {"visit": 0}]
)
async def test_a_message_cannot_name_a_turn_that_has_not_begun(client: Client, more: dict[str, int]) -> None:
    stage = Stage()
    handle = await chat(client, stage)
    async with performing(client, stage):
        assert (await say(handle, "a")).turn == 1
        await handle.signal(ChatWorkflow.deliver, saying("b", **more))
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await say(handle, "c", **more)
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "NotFound"
        assert (await say(handle, "d")).turn == 2
    assert [thought.turn.message_id for thought in stage.thoughts] == ["a", "d"]
