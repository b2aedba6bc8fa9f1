"""Every way a run of a workflow can go, to be recorded."""

import asyncio
from typing import Any

from tests.graphflow.runs import ANTONIO, AVA, Run, again, define, run, transform, workflow
from tests.scripted_model import ScriptedModel
from tests.system import System, until
from workflows.graphflow.messages import ExecutionEvent
from workflows.graphflow.workflow import GraphWorkflow

HELLO = {"request": "Hello."}
LIST = {"type": "object", "properties": {"items": {"type": "array"}}}
ASKING = {"type": "agent", "agent": ANTONIO, "prompt": "Hello. {{ item }}"}


def agent(node: str, **more: Any) -> dict[str, Any]:
    return {"id": node, "type": "agent", "agent": ANTONIO, "prompt": "{{ input.request }}", **more}


def each(**more: Any) -> dict[str, Any]:
    return {"id": "each", "type": "map", "over": "input.items", "max_items": 500, "node": ASKING, **more}


async def graph_plain(system: System, model: ScriptedModel) -> str:
    """Every kind of node but those that wait, side by side and one after the other, and one that is skipped."""
    inside = await asyncio.to_thread(define, system.parts, workflow(transform("end", x="input.request")))
    document = workflow(
        transform("look", x="1"),
        agent("ask"),
        {"id": "team", "type": "swarm", "agents": [ANTONIO, AVA], "mode": "parallel", "task": "{{ input.request }}"},
        {"id": "inside", "type": "workflow", "workflow": inside, "input": {"request": "{{ input.request }}"}},
        {
            "id": "costs",
            "type": "tool",
            "tool": "query_costs",
            "arguments": {"period": "7d", "group_by": "agent"},
        },
        transform("never", x="2"),
        {**transform("end", x="3"), "join": "any"},
        edges=[
            ("look", "ask", "nodes.look.output.x == 1"),
            ("look", "never", "otherwise"),
            *((node, "end") for node in ("ask", "team", "inside", "costs", "never")),
        ],
    )
    return await done(await run(system, document, HELLO))


async def graph_failing(system: System, model: ScriptedModel) -> str:
    """An attempt that fails and is made again, one that takes too long, an error that leads elsewhere."""
    model.script({"contains": "Hello.", "status": 401, "times": 1}, {"contains": "Hello.", "delay_s": 20, "times": 1})
    document = workflow(
        agent("ask", retry={"attempts": 3, "pause_s": 0.1}, timeout_s=0.5),
        {**transform("bad", x="input.nothing"), "on_error": {"goto": "help"}},
        transform("help", x="1"),
        edges=[("ask", "bad")],
    )
    return await done(await run(system, document, HELLO))


async def graph_continued(system: System, model: ScriptedModel) -> str:
    """The first of several runs: a loop, while another node waits."""
    started = await looping(system)
    return f"{started.id}/{started.handle.first_execution_run_id}"


async def graph_taken_over(system: System, model: ScriptedModel) -> str:
    """The last of several runs: it waits on for what another one waited for."""
    return (await looping(system)).id


async def graph_mapped(system: System, model: ScriptedModel) -> str:
    """A map, one item of which fails, and what it makes of that."""
    model.script({"contains": "Hello. 2", "status": 401, "times": None})
    document = workflow(each(on_item_error="continue", parallel=3), input=LIST)
    return await done(await run(system, document, {"items": [1, 2, 3, 4, 5]}))


async def graph_in_parts(system: System, model: ScriptedModel) -> str:
    """A map over a long list."""
    return await done(await run(system, workflow(each(parallel=10), input=LIST), {"items": list(range(60))}))


async def graph_part(system: System, model: ScriptedModel) -> str:
    """The last part of a map over a long list."""
    return f"{await graph_in_parts(system, model)}/each/1/1/50"


async def graph_decided(system: System, model: ScriptedModel) -> str:
    """A person lets an answer go, and says no to what is made of it; the run is paused meanwhile."""
    asking = {"id": "look", "type": "approval", "title": "Look", "content": "{{ nodes.ask.output }}"}
    started = await run(system, workflow(agent("ask", approval="low"), asking, edges=[("ask", "look")]), HELLO)
    await decide(system, started, 0, "approve")
    await started.asking("pause", because="req_2")
    await started.asking("resume", because="req_3")
    await decide(system, started, 1, "reject")
    await started.over()
    return started.id


async def graph_cancelled(system: System, model: ScriptedModel) -> str:
    """Somebody cancels it: one node has to be undone, one is at work, one waits."""
    undo = {"type": "agent", "agent": ANTONIO, "prompt": "{{ input.request }}"}
    model.script({"contains": "slow", "delay_s": 20})
    document = workflow(
        agent("book", compensate=undo),
        {"id": "paid", "type": "wait", "event": "payment"},
        agent("slow", prompt="Be slow."),
        edges=[("book", "paid"), ("book", "slow")],
    )
    started = await run(system, document, HELLO)
    await model.until(lambda bill: len(bill) == 2)
    await started.asking("cancel", because="req_2")
    await started.over()
    return started.id


async def graph_run_cancelled(system: System, model: ScriptedModel) -> str:
    """Somebody cancels its run."""
    started = await run(system, workflow(agent("ask", prompt="Be slow.")), HELLO)
    model.script({"contains": "slow", "delay_s": 20})
    await until(lambda: asyncio.to_thread(started.story), bool)
    await started.handle.cancel()
    await started.seen("cancelled")
    return started.id


async def graph_gone_on_with(system: System, model: ScriptedModel) -> str:
    """It failed, and somebody goes on with it."""
    model.script({"contains": "Hello.", "status": 401, "times": 1})
    started = await run(system, workflow(transform("x", x="1"), agent("ask"), edges=[("x", "ask")]), HELLO)
    await started.over()
    return await done(await again(system, started))


async def graph_undone(system: System, model: ScriptedModel) -> str:
    """A run that had completed is undone, because the one around it has failed."""
    undo = {"type": "agent", "agent": ANTONIO, "prompt": "{{ input.request }}"}
    inside = await asyncio.to_thread(define, system.parts, workflow(agent("book", compensate=undo)))
    part = {"id": "part", "type": "workflow", "workflow": inside, "input": {"request": "{{ input.request }}"}}
    started = await run(system, workflow(part, transform("fails", x="1 / 0"), edges=[("part", "fails")]), HELLO)
    await started.over()
    seen = await started.seen("failed")
    return f"{seen.nodes[0].child_id}/undo"


async def graph_undoing(system: System, model: ScriptedModel) -> str:
    """The one around it."""
    undo_id = await graph_undone(system, model)
    child = await asyncio.to_thread(system.parts.runs.run, undo_id.removesuffix("/undo"))
    assert child is not None
    return str(child.row.parent_id)


async def graph_paused(system: System, model: ScriptedModel) -> str:
    """The time of a wait for an event stands still while the run is paused."""
    wait = {"id": "paid", "type": "wait", "event": "payment", "timeout_s": 30}
    started = await run(system, workflow(wait), HELLO)
    await until(lambda: asyncio.to_thread(started.story), bool)
    await started.asking("pause", because="req_2")
    await started.asking("resume", because="req_3")
    await started.handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment"))
    return await done(started)


async def graph_kept(system: System, model: ScriptedModel) -> str:
    """A condition failed, and is evaluated again without asking the model again."""
    document = workflow(agent("ask"), transform("end", x="1"), edges=[("ask", "end", "1 / 0 > 1")])
    started = await run(system, document, HELLO)
    await started.over()
    await (await again(system, started)).over()
    return started.id


async def looping(system: System) -> Run:
    steps = [{**transform("step", n="visit"), "max_visits": 40}]
    edges = [("step", "step", "nodes.step.output.n < 40"), ("step", "end", "otherwise"), ("paid", "end")]
    wait = {"id": "paid", "type": "wait", "event": "payment"}
    started = await run(system, workflow(*steps, wait, transform("end", x="1"), edges=edges), HELLO, events_per_run=25)
    first = started.handle.first_execution_run_id
    await until(started.handle.describe, lambda it: it.run_id != first)
    handle = system.temporal.get_workflow_handle_for(GraphWorkflow.run, started.id)
    await handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment"))
    await done(started)
    return started


async def decide(system: System, started: Run, place: int, verdict: str) -> None:
    """Decide what a node, by its place, waits for."""
    seen = await until(
        lambda: asyncio.to_thread(started.parts.runs.run, started.id),
        lambda it: it is not None and it.nodes[place].approval_id is not None,
    )
    assert seen is not None
    body = {"reason": "Hello."} if verdict == "reject" else {}
    url = f"/api/v1/approvals/{seen.nodes[place].approval_id}/{verdict}"
    response = await until(lambda: system.http.post(url, json=body), lambda it: it.status_code != 404)
    response.raise_for_status()


async def done(started: Run) -> str:
    await started.output()
    return started.id


SCENES = (
    graph_plain,
    graph_failing,
    graph_continued,
    graph_taken_over,
    graph_mapped,
    graph_in_parts,
    graph_part,
    graph_decided,
    graph_cancelled,
    graph_run_cancelled,
    graph_gone_on_with,
    graph_undone,
    graph_undoing,
    graph_paused,
    graph_kept,
)
