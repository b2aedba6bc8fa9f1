"""Runs that wait: for people, for time, for events; and runs that are stopped."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError

from domain.content import Content
from domain.graphflow.execution.events import NodeCompensated
from tests.graphflow.runs import ANTONIO, Run, again, define, run, transform, workflow
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, System, until
from workflows.graphflow.messages import ExecutionEvent
from workflows.graphflow.workflow import GraphWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
APPROVAL = {
    "id": "ask",
    "type": "approval",
    "title": "Look at {{ input.request }}",
    "content": "It is {{ input.request }}",
}
END = transform("end", said="nodes.ask.output.content", comment="nodes.ask.output.comment")


def agent(node: str, prompt: str, **more: Any) -> dict[str, Any]:
    return {"id": node, "type": "agent", "agent": ANTONIO, "prompt": prompt, **more}


async def decide(system: System, started: Run, verdict: str, body: dict[str, Any]) -> None:
    """Decide the one approval that a run waits for."""
    seen = await started.seen("awaiting_approval")
    [waiting] = [node.approval_id for node in seen.nodes if node.approval_id]
    response = await system.decide(waiting, verdict, headers=ADMIN, **body)
    assert response.status_code == 200, response.text


async def test_an_approval_holds_the_run_until_a_person_lets_it_go(shared: System) -> None:
    started = await run(shared, workflow(APPROVAL, END, edges=[("ask", "end")]))
    await decide(shared, started, "approve", {"comment": "Fine.", "edited_content": "It is changed."})
    assert await started.output() == {"end": {"said": "It is changed.", "comment": "Fine."}}
    assert started.story() == ["NodeBegun ask 1.1", "NodeHeld ask 1.1", "NodeEnded ask 1.1", "NodeEnded end 1.1"]


async def test_the_title_of_an_approval_is_filled_where_approvals_are_listed(shared: System) -> None:
    started = await run(shared, workflow(APPROVAL, END, edges=[("ask", "end")]))
    seen = await started.seen("awaiting_approval")
    [waiting] = [node.approval_id for node in seen.nodes if node.approval_id]

    async def listed() -> dict[str, Any]:
        answer = (await shared.http.get("/api/v1/approvals/pending?limit=1000", headers=ADMIN)).json()
        return next((each for each in answer["pending_approvals"] if each["id"] == waiting), {})

    row = await until(listed, bool)
    assert row["title"] == "Look at Find a way."
    assert shared.parts.approvals.get("default", waiting).row.title == "Look at …"  # type: ignore[union-attr]
    await decide(shared, started, "approve", {})


async def test_a_rejection_ends_the_run_as_rejected(shared: System) -> None:
    started = await run(shared, workflow(APPROVAL, END, edges=[("ask", "end")]))
    await decide(shared, started, "reject", {"reason": "No."})
    over = await started.over()
    assert (over.status, over.node, over.code) == ("rejected", "ask", "REJECTED")
    assert [node.status for node in (await started.seen("rejected")).nodes] == ["rejected", "skipped"]


async def test_a_rejection_that_a_condition_reads_is_an_answer(shared: System) -> None:
    edges = [("ask", "end", "nodes.ask.output.approved"), ("ask", "no", "otherwise")]
    started = await run(shared, workflow(APPROVAL, END, transform("no", status="nodes.ask.output.status"), edges=edges))
    await decide(shared, started, "reject", {"reason": "No."})
    assert await started.output() == {"no": {"status": "rejected"}}


async def test_an_agents_answer_is_held_where_its_node_says_so(shared: System, scripted_model: ScriptedModel) -> None:
    node = agent("write", "Write it", approval="low")
    started = await run(shared, workflow(node, output="{{ nodes.write.output }}"))
    await decide(shared, started, "approve", {"edited_content": "Better."})
    assert await started.output() == "Better."


async def test_an_event_is_waited_for_its_payload_read_and_its_repeat_not_heard(shared: System) -> None:
    wait = {"id": "paid", "type": "wait", "event": "payment", "timeout_s": 60}
    more = {"id": "more", "type": "wait", "event": "payment", "timeout_s": 0.5}
    end = transform("end", got="nodes.paid.output.payload.amount", more="!nodes.more.output.timed_out")
    started = await run(shared, workflow(wait, more, end, edges=[("paid", "more"), ("more", "end")]))
    payload = await asyncio.to_thread(_put, started, '{"amount": 5}')
    for _ in range(2):
        await started.handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment", payload))
    assert await started.output() == {"end": {"got": 5, "more": False}}


async def test_an_event_that_never_comes_times_out(shared: System) -> None:
    wait = {"id": "paid", "type": "wait", "event": "payment", "timeout_s": 0.3}
    document = workflow(wait, transform("end", late="nodes.paid.output.timed_out"), edges=[("paid", "end")])
    assert await (await run(shared, document)).output() == {"end": {"late": True}}


async def test_waits_and_approvals_are_waited_on_for_after_continuing_as_new(shared: System) -> None:
    steps = [{**transform("step", n="visit"), "max_visits": 40}]
    edges = [
        ("step", "step", "nodes.step.output.n < 40"),
        ("step", "end", "otherwise"),
        ("ask", "end"),
        ("paid", "end"),
    ]
    wait = {"id": "paid", "type": "wait", "event": "payment", "timeout_s": 60}
    document = workflow(*steps, APPROVAL, wait, END, edges=edges)
    started = await run(shared, document, events_per_run=25)
    first = started.handle.first_execution_run_id
    await until(started.handle.describe, lambda it: it.run_id != first)
    await started.handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment"))
    await decide(shared, started, "approve", {})
    assert (await started.output())["end"]["said"] == "It is Find a way."
    assert len(started.ends("step")) == 40
    assert [len(started.ends(node)) for node in ("ask", "paid", "end")] == [1, 1, 1]


async def test_a_paused_run_begins_nothing_until_it_is_resumed(shared: System) -> None:
    wait = {"id": "paid", "type": "wait", "event": "payment"}
    started = await run(shared, workflow(wait, transform("end", x="1"), edges=[("paid", "end")]))
    await until(lambda: asyncio.to_thread(started.story), lambda story: "NodeBegun paid 1.1" in story)
    await started.asking("pause")
    await started.handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment"))
    seen = await started.seen("paused")
    await until(lambda: asyncio.to_thread(started.ends), lambda ends: len(ends) == 1)
    assert seen.nodes[1].status == "pending"
    await started.asking("resume")
    assert await started.output() == {"end": {"x": 1}}


async def test_the_time_of_a_wait_for_an_event_stands_still_while_the_run_is_paused(shared: System) -> None:
    wait = {"id": "paid", "type": "wait", "event": "payment", "timeout_s": 2.5}
    end = transform("end", x="nodes.paid.output.timed_out")
    started = await run(shared, workflow(wait, end, edges=[("paid", "end")]))
    await until(lambda: asyncio.to_thread(started.story), lambda story: "NodeBegun paid 1.1" in story)
    await started.asking("pause")
    await asyncio.sleep(3)
    assert started.ends() == []
    await started.asking("resume")
    await started.handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment"))
    assert await started.output() == {"end": {"x": False}}


async def test_a_wait_that_was_paused_still_ends_by_its_time(shared: System) -> None:
    wait = {"id": "paid", "type": "wait", "event": "payment", "timeout_s": 1}
    end = transform("end", x="nodes.paid.output.timed_out")
    started = await run(shared, workflow(wait, end, edges=[("paid", "end")]))
    for _ in range(2):
        await started.asking("pause")
        await started.asking("resume")
    assert await started.output() == {"end": {"x": True}}


async def test_a_run_that_is_paused_before_it_begins_anything_goes_on_where_it_would_have(shared: System) -> None:
    wait = {"id": "paid", "type": "wait", "event": "payment"}
    started = await run(shared, workflow(wait, transform("end", x="1"), edges=[("paid", "end")]))
    await started.asking("pause")
    await started.handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment"))
    await started.seen("paused")
    await started.asking("resume")
    assert await started.output() == {"end": {"x": 1}}


async def test_a_cancelled_run_undoes_what_its_nodes_have_done(shared: System, scripted_model: ScriptedModel) -> None:
    undo = {"type": "agent", "agent": ANTONIO, "prompt": "Undo {{ nodes.book.output }}"}
    wait = {"id": "paid", "type": "wait", "event": "payment"}
    scripted_model.script({"contains": "Book it", "text": "Booked.", "times": None})
    document = workflow(agent("book", "Book it", compensate=undo), wait, edges=[("book", "paid")])
    started = await run(shared, document)
    await until(lambda: asyncio.to_thread(started.story), lambda story: "NodeBegun paid 1.1" in story)
    await started.asking("cancel")
    assert (await started.over()).status == "cancelled"
    [undone] = [event for event in started.events() if isinstance(event, NodeCompensated)]
    assert (undone.node, undone.status) == ("book", "completed")
    seen = await started.seen("cancelled")
    assert [(node.status, node.compensated) for node in seen.nodes] == [("completed", True), ("cancelled", False)]
    asked = [call["session_id"].partition("/")[2] for call in await shared.calls(workflow_id=started.id)]
    assert sorted(asked) == ["book", "book.undo.1"]
    over = await (await again(shared, started)).over()
    assert (over.status, over.code) == ("failed", "Conflict")


async def test_cancelling_stops_the_agents_that_are_at_work(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "Be slow", "delay_s": 30})
    started = await run(shared, workflow(agent("slow", "Be slow")))
    await scripted_model.until(lambda bill: len(bill) == 1)
    await started.asking("cancel")
    over = await started.over()
    assert (over.status, over.reason) == ("cancelled", "it was cancelled by request")
    with pytest.raises(RPCError):
        await started.asking("cancel")


async def test_an_attempt_that_takes_too_long_fails_and_is_made_again(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "Be slow", "delay_s": 30, "times": 1})
    node = agent("slow", "Be slow", timeout_s=0.5, retry={"attempts": 2, "pause_s": 0.1})
    started = await run(shared, workflow(node))
    await started.output()
    assert started.story()[:2] == ["NodeBegun slow 1.1", "AttemptFailed slow 1.1"]


@pytest.mark.parametrize("how", ["parent", "child"])
async def test_a_workflow_inside_is_stopped_with_the_one_around_it_and_fails_it_when_stopped_alone(
    shared: System, how: str
) -> None:
    wait = workflow({"id": "paid", "type": "wait", "event": "payment"})
    inner = await asyncio.to_thread(define, shared.parts, wait)
    node = {"id": "inner", "type": "workflow", "workflow": inner, "input": {"request": "x"}}
    started = await run(shared, workflow(node))
    seen = await until(
        lambda: asyncio.to_thread(started.parts.runs.run, started.id),
        lambda it: it is not None and it.nodes[0].child_id is not None,
    )
    assert seen is not None
    child_id = seen.nodes[0].child_id or ""
    await until(lambda: asyncio.to_thread(started.parts.runs.run, child_id), lambda it: it is not None)
    if how == "parent":
        await started.asking("cancel")
        assert (await started.over()).status == "cancelled"
    else:
        await shared.temporal.get_workflow_handle(child_id).cancel()
        over = await started.over()
        assert (over.status, over.node, over.code) == ("failed", "inner", "CANCELLED")
    child = await until(
        lambda: asyncio.to_thread(started.parts.runs.run, child_id),
        lambda it: it is not None and it.row.ended_at is not None,
    )
    assert child is not None
    assert child.row.status == "cancelled"


async def test_a_run_that_is_cancelled_at_once_has_ended_all_the_same(shared: System) -> None:
    started = await run(shared, workflow({"id": "paid", "type": "wait", "event": "payment"}))
    await started.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await started.over()
    assert (await started.seen("cancelled")).row.reason == "its workflow was cancelled"


def _put(started: Run, text: str) -> str:
    return started.parts.content.put(Content(started.id, text))
