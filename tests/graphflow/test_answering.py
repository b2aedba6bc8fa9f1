"""An agent's node is one activity: what it costs, what it writes, and that doing it again changes nothing."""

import asyncio
from asyncio import to_thread
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.testing import ActivityEnvironment

from activities.costs.bookkeeping import CostLedger
from activities.graphflow.context import graph_parts
from activities.graphflow.messages import AgentNodeResult, AttemptEnd, NodeAttempt
from domain.content import Content, ContentStore
from domain.costs.events import CallReserved
from domain.graphflow.execution.aggregate import item_stream
from domain.graphflow.execution.events import NodeBegun, NodeEnded
from runtime.wiring.parts import now
from runtime.wiring.worker_activities import model_activities
from tests.graphflow.runs import AMY, ANTONIO, AVA, Run, run, transform, workflow
from tests.scripted_model import ScriptedModel
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")


def agent(node: str, prompt: str = "Say {{ input.request }}", **more: Any) -> dict[str, Any]:
    return {"id": node, "type": "agent", "agent": ANTONIO, "prompt": prompt, **more}


WIDE = workflow(agent("a"), agent("b", agent=AVA), agent("c", agent=AMY))


Answer = Callable[..., Awaitable[AgentNodeResult]]


def answering_of(system: System, content: ContentStore | None = None) -> Answer:
    """The activity of a worker that knows nothing yet, in its first attempt unless another one is named."""
    parts = system.parts
    graphs = graph_parts(parts.ledger, content or parts.content, now)
    activities = model_activities(system.settings, parts, graphs, CostLedger(parts.ledger, parts.prices, now))
    answer_node = next(each for each in activities if each.__name__ == "answer_node")

    async def answer(spot: NodeAttempt, attempt: int = 1) -> AgentNodeResult:
        environment = ActivityEnvironment()
        environment.info = replace(environment.info, attempt=attempt)
        result: AgentNodeResult = await environment.run(answer_node, spot)
        return result

    return answer


def topics(system: System, started: Run) -> list[str]:
    """What was appended for a run and the calls of its nodes, in the ledger's order."""
    known, found = {started.id}, []
    for recorded in system.parts.ledger.after(0, 1_000_000):
        text = recorded.event.model_dump_json()
        if any(each in text for each in known):
            found.append(recorded.event.NAME)
            known |= {recorded.event.call_id} if isinstance(recorded.event, CallReserved) else set()
    return found


async def twin(system: System, started: Run, name: str) -> Run:
    """A run of the same workflow that has begun and that nobody works on."""
    asked = replace(started.asked, execution_id=f"{started.id}{name}")
    for text in system.parts.content.get(started.id, [asked.input_hash, asked.context_hash or ""]).values():
        await to_thread(system.parts.content.put, Content(asked.execution_id, text))
    event = started.events()[0].model_copy(update={"execution_id": asked.execution_id, "root_id": asked.execution_id})
    journal = graph_parts(system.parts.ledger, system.parts.content, now).journal
    await to_thread(journal.write, asked.execution_id, lambda _: ([event], []), key="start")
    return replace(started, asked=asked)


async def test_beginning_and_end_are_written_with_the_books_of_the_call(shared: System) -> None:
    started = await run(shared, workflow(agent("a"), agent("b", "{{ nodes.a.output }}"), edges=[("a", "b")]))
    await started.output()
    reserved = ["costs.call_reserved", "chat.turn_started", "graphflow.node_begun"]
    settled = ["costs.call_settled", "chat.turn_answered", "graphflow.node_ended"]
    written = await to_thread(topics, shared, started)
    assert written == ["graphflow.run_started", *reserved, *settled, *reserved, *settled, "graphflow.run_ended"]


async def test_it_is_one_activity_for_the_workflow(shared: System) -> None:
    started = await run(shared, WIDE)
    await started.output()
    kinds = Counter(event.event_type for event in (await started.handle.fetch_history()).events)
    assert kinds[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED] == 3
    assert kinds[EventType.EVENT_TYPE_MARKER_RECORDED] == 3, "begin, end, and the one that tells old runs from new"


async def test_done_again_it_asks_nobody_and_ends_as_it_did(shared: System, scripted_model: ScriptedModel) -> None:
    started = await run(shared, WIDE)
    await started.output()
    before, calls = await to_thread(started.events), len(scripted_model.bill())
    again = await answering_of(shared)(NodeAttempt(started.asked, "a", 1, 1), attempt=2)
    assert again == AgentNodeResult(AttemptEnd("completed", [], final=True))
    assert await to_thread(started.events) == before
    assert len(scripted_model.bill()) == calls


async def test_nodes_answered_side_by_side_in_two_workers_end_once_each(shared: System) -> None:
    started = await run(shared, workflow(*(agent(f"n{at}") for at in range(8))))
    await started.output()
    other = await twin(shared, started, "x")
    workers = [answering_of(shared), answering_of(shared)]
    await asyncio.gather(*(workers[at % 2](NodeAttempt(other.asked, f"n{at}", 1, 1)) for at in range(8)))
    events = await to_thread(other.events)
    for kind in (NodeBegun, NodeEnded):
        assert sorted(event.node for event in events if isinstance(event, kind)) == [f"n{at}" for at in range(8)]


async def test_what_was_paid_for_is_booked_although_the_run_cannot_be_told(shared: System) -> None:
    """A condition needs a text that was erased meanwhile: the node's end is left to be found out about by itself."""
    ways = [("a", "long", "size(input.request) > 9"), ("a", "short", "otherwise")]
    document = workflow(agent("a", "Go."), transform("long", n="1"), transform("short", n="2"), edges=ways)
    started = await run(shared, document, {"request": "too long to be kept in memory " * 1_000})
    assert await started.output() == {"long": {"n": 1}}
    other = await twin(shared, started, "x")
    came = await answering_of(shared, Forgetful(shared.parts.content))(NodeAttempt(other.asked, "a", 1, 1))
    assert came.ended is None
    assert came.answer is not None
    assert not [event for event in await to_thread(other.events) if isinstance(event, NodeEnded)]
    (call,) = [c for c in await shared.calls(workflow_id=other.id) if c["state"] == "settled"]
    assert call["cost"] is not None


class Forgetful:
    """A content store that has every text once: what is read again was erased."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._read: set[str] = set()

    def put(self, content: Content) -> str:
        return str(self._store.put(content))

    def get(self, owner: str, hashes: Any) -> dict[str, str]:
        wanted = set(hashes) - self._read
        self._read |= wanted
        return dict(self._store.get(owner, wanted)) if wanted else {}


async def test_an_item_of_a_map_ends_with_its_call(shared: System) -> None:
    inner = {"type": "agent", "agent": ANTONIO, "prompt": "Say {{ item }}"}
    document = workflow({"id": "each", "type": "map", "over": '["x", "y"]', "node": inner})
    started = await run(shared, document)
    await started.output()
    written = await to_thread(topics, shared, started)
    assert written.count("graphflow.item_ended") == 2
    ends = [at for at, name in enumerate(written) if name == "graphflow.item_ended"]
    assert [written[at - 2 : at] for at in ends] == [["costs.call_settled", "chat.turn_answered"]] * 2
    spot = NodeAttempt(started.asked, "each", 1, 1, item=0)
    assert await answering_of(shared)(spot, attempt=2) == AgentNodeResult(AttemptEnd("completed"))
    assert len(shared.parts.ledger.read(item_stream(started.id, "each", 1, 0))) == 1


async def test_an_answer_that_is_held_ends_the_node_once_it_was_let_go(shared: System) -> None:
    started = await run(shared, workflow(agent("a", approval="low")))
    seen = await started.seen("awaiting_approval")
    approval = seen.nodes[0].approval_id
    assert not await to_thread(started.ends)
    response = await shared.http.post(f"/api/v1/approvals/{approval}/approve", json={"edited_content": "Better."})
    assert response.status_code == 200, response.text
    assert await started.output() == {"a": "Better."}


async def test_a_prompt_that_cannot_be_rendered_fails_the_node_before_anything_is_asked(
    shared: System, scripted_model: ScriptedModel
) -> None:
    calls = len(scripted_model.bill())
    started = await run(shared, workflow(agent("a", "{{ input.request[99] }}")))
    over = await started.over()
    assert (over.status, over.node, over.code) == ("failed", "a", "EXPRESSION_FAILED")
    assert len(scripted_model.bill()) == calls
