"""Makes the recorded histories again: `python -m tests.histories.record [name ...]`.

Do so when a workflow is new. A workflow that has changed must still replay the histories that are here.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

from temporalio.client import WorkflowHandle

from activities.chat.messages import EndSessionRequest
from adapters.postgres.migrate import migrate
from domain.content import Content
from tests.histories import approvals, erasures, graphs, knowledge, limits, runbooks, schedules, steps, swarms
from tests.scripted_model import ScriptedModel, start_scripted_model
from tests.servers import join
from tests.system import AGENT, CHAT, System, new_namespace, running, settings_of, until
from workflows.chat.messages import ChatMessage, ChatStart
from workflows.chat.workflow import ChatWorkflow
from workflows.reconcile.workflow import ReconcileWorkflow
from workflows.task_queues import WORKFLOW_QUEUE

HERE = Path(__file__).parent
_ANONYMOUS = re.compile(r'("(?:identity|stackTrace|binaryChecksum)":\s*|"name":\s*(?="\d+@))"(?:[^"\\]|\\.)*"')
"""What tells of the machine that recorded it."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def plain(system: System, model: ScriptedModel) -> str:
    """Three turns, then the end."""
    session_id = await spoken(system, "Hello.", "How are you?", "Good bye.")
    await ended(system, session_id)
    return f"chat-{session_id}"


async def failing(system: System, model: ScriptedModel) -> str:
    """A call that is tried again, a turn that fails and is tried again at its place, one that fits no window."""
    session_id = await spoken(system, "Hello. [[fail 500 1]]")
    model.script({"contains": "refused", "status": 401})
    for _ in range(2):
        await system.say("Be refused.", session_id, headers={"Idempotency-Key": "refused"})
    await system.say("word " * 19_000, session_id)
    await ended(system, session_id)
    return f"chat-{session_id}"


async def summarised(system: System, model: ScriptedModel) -> str:
    """Turns that fill the window, a summary that fails and two that do not."""
    model.script({"contains": "User: ", "status": 401}, default={"tokens": 1000})
    session_id = await spoken(system, *(f"Message {number} " + "word " * 300 for number in range(7)))
    await ended(system, session_id)
    return f"chat-{session_id}"


async def continued(system: System, model: ScriptedModel) -> str:
    """The first of several runs: it takes its queue along."""
    handle = await busy(system, model)
    return f"{handle.id}/{handle.first_execution_run_id}"


async def taken_over(system: System, model: ScriptedModel) -> str:
    """The last of several runs: it begins with what another one left."""
    handle = await busy(system, model)
    await ended(system, handle.id.removeprefix("chat-"))
    return handle.id


async def cancelled(system: System, model: ScriptedModel) -> str:
    """One message is worked on and one waits when somebody cancels the run."""
    session_id = await spoken(system, "Hello.")
    model.script({"contains": "slow", "delay_s": 10})
    saying = [asyncio.create_task(system.say(f"Be slow, {number}.", session_id)) for number in (1, 2)]
    handle = system.temporal.get_workflow_handle_for(ChatWorkflow.run, f"chat-{session_id}")
    await until(lambda: handle.query(ChatWorkflow.status), lambda status: status.pending == 2)
    await handle.cancel()
    await asyncio.gather(*saying)
    return f"chat-{session_id}"


async def delivered(system: System, model: ScriptedModel) -> str:
    """Messages and an end that came by signal, one of them by its update as well."""
    del model
    session_id = f"session_{uuid4().hex}"
    chat = f"chat-{session_id}"
    start = ChatStart(session_id, AGENT, "anonymous", "req_1")
    handle = await system.temporal.start_workflow(ChatWorkflow.run, start, id=chat, task_queue=WORKFLOW_QUEUE)
    for number in (1, 2):
        text = system.parts.content.put(Content(session_id, f"Message {number}."))
        say = ChatMessage(f"message-{number}", text, AGENT, 1, "anonymous", "req_1")
        await handle.signal(ChatWorkflow.deliver, say)
    await handle.execute_update(ChatWorkflow.say, say)
    await handle.signal(ChatWorkflow.close, EndSessionRequest(session_id, "anonymous", "req_2"))
    await handle.result()
    return chat


async def reconciled(system: System, model: ScriptedModel) -> str:
    """A reconciliation that finds nothing to do."""
    handle = await system.temporal.start_workflow(
        ReconcileWorkflow.run, id=f"reconcile-{uuid4()}", task_queue=WORKFLOW_QUEUE
    )
    await handle.result()
    return handle.id


Scene = Callable[[System, ScriptedModel], Awaitable[str]]
SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (
        plain,
        failing,
        summarised,
        continued,
        taken_over,
        cancelled,
        delivered,
        reconciled,
        *steps.SCENES,
        *approvals.SCENES,
        *swarms.SCENES,
        *graphs.SCENES,
        *schedules.SCENES,
        *erasures.SCENES,
        *knowledge.SCENES,
        *runbooks.SCENES,
        *limits.SCENES,
    )
}


async def spoken(system: System, *messages: str) -> str:
    session_id = f"session_{uuid4().hex}"
    for message in messages:
        (await system.say(message, session_id)).raise_for_status()
    return session_id


async def ended(system: System, session_id: str) -> None:
    (await system.http.delete(f"{CHAT}/{session_id}")).raise_for_status()


async def busy(system: System, model: ScriptedModel) -> WorkflowHandle[ChatWorkflow, None]:
    """A chat with three turns a run and more messages at once than that."""
    model.script({"contains": "number", "delay_s": 0.2, "times": None})
    session_id = f"session_{uuid4().hex}"
    start = ChatStart(session_id, AGENT, "anonymous", "req_1", turns_per_run=3)
    handle = await system.temporal.start_workflow(
        ChatWorkflow.run, start, id=f"chat-{session_id}", task_queue=WORKFLOW_QUEUE
    )
    await asyncio.gather(*(system.say(f"number {number}", session_id) for number in range(8)))
    return handle


async def record(names: list[str]) -> None:
    async with a_system() as (system, model):
        for name in names:
            model.reset()
            workflow_id, run_id = _run_of(await SCENES[name](system, model))
            handle = system.temporal.get_workflow_handle(workflow_id, run_id=run_id or None)
            history = await handle.fetch_history()
            text = _ANONYMOUS.sub(r'\1"recorder"', history.to_json())
            await asyncio.to_thread((HERE / f"{name}.json").write_text, text + "\n")


def _run_of(told: str) -> tuple[str, str]:
    """`workflow`, or `workflow/run`: a run's id is a UUID."""
    workflow_id, _, run_id = told.rpartition("/")
    return (workflow_id, run_id) if _UUID.fullmatch(run_id) else (told, "")


@asynccontextmanager
async def a_system() -> AsyncIterator[tuple[System, ScriptedModel]]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="convergio-histories-")))
        named: dict[str, str] = {}
        for kind in ("postgres", "temporal", "valkey"):
            server = join(kind, directory)
            stack.callback(server.leave)
            named |= server.environment
        model = stack.enter_context(start_scripted_model())
        await asyncio.to_thread(migrate, named["DATABASE_URL"])
        settings = settings_of(
            database_url=named["DATABASE_URL"],
            temporal_address=named["TEMPORAL_ADDRESS"],
            redis_url=named["REDIS_URL"],
            model_url=model.url,
            namespace=await new_namespace(named["TEMPORAL_ADDRESS"]),
        )
        async with running(settings) as system:
            yield system, model


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1:] or list(SCENES)))
