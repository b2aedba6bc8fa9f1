"""The activities of nodes: done again, late, or side by side, they change nothing that stands."""

import asyncio
from asyncio import to_thread
from dataclasses import replace

import pytest

from activities.graphflow.context import graph_parts
from activities.graphflow.execution_activities import RunActivities
from activities.graphflow.messages import AttemptEnd, AttemptStart, EndNodeRequest, EndRunRequest, NodeAttempt
from activities.graphflow.node_activities import NodeActivities
from domain.content import Content
from domain.graphflow.execution.aggregate import load, stream
from domain.graphflow.execution.events import NodeEnded
from runtime.wiring.parts import now
from tests.graphflow.runs import Run, run, transform, workflow
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOOP = workflow(
    {**transform("step", n="visit"), "max_visits": 9},
    transform("end", n="nodes.step.output.n"),
    edges=[("step", "step", "nodes.step.output.n < 9"), ("step", "end", "otherwise")],
)


def nodes_of(system: System) -> NodeActivities:
    """A worker's activities that know nothing yet."""
    parts = system.parts
    return NodeActivities(graph_parts(parts.ledger, parts.content, now), parts.toolbox, now)


async def over(system: System, document: dict[str, object]) -> Run:
    started = await run(system, document)
    await started.over()
    return started


async def test_an_early_visit_that_is_gone_through_again_ends_as_it_did(shared: System) -> None:
    started = await over(shared, LOOP)
    before = await to_thread(started.events)
    nodes = nodes_of(shared)
    ended = [
        await to_thread(nodes.transform_node, NodeAttempt(started.asked, "step", visit, 1)) for visit in range(1, 10)
    ]
    assert [each.taken for each in ended] == [[0]] * 8 + [[1]]
    assert ended[0] == AttemptEnd("completed", [0], final=True)
    assert await to_thread(started.events) == before


async def test_a_map_and_a_wait_that_begin_again_are_those_that_began(shared: System) -> None:
    asking = {"type": "agent", "agent": "amy_cfo", "prompt": "{{ item }}"}
    document = workflow(
        {"id": "rest", "type": "wait", "seconds": 0.1},
        {"id": "each", "type": "map", "over": "[1, 2, 3]", "node": asking},
        edges=[("rest", "each")],
    )
    started = await over(shared, document)
    nodes = nodes_of(shared)
    rest = await nodes.begin_node(NodeAttempt(started.asked, "rest", 1, 1, now=now()))
    assert rest.until is not None
    assert rest.until < now()
    each = await nodes.begin_node(NodeAttempt(started.asked, "each", 1, 1))
    assert (each.type, each.items) == ("map", 3)
    done = await nodes.begin_node(NodeAttempt(started.asked, "each", 1, 1, item=1))
    assert done == AttemptStart("agent", is_done=True)


async def test_ends_that_race_in_two_workers_are_recorded_once_each(shared: System) -> None:
    wide = workflow(*(transform(f"n{at}", x=str(at)) for at in range(12)))
    started = await over(shared, wide)
    asked = replace(started.asked, execution_id=f"{started.id}x", input_hash=started.asked.input_hash)
    parts = shared.parts
    for text in parts.content.get(started.id, [asked.input_hash, asked.context_hash or ""]).values():
        await to_thread(parts.content.put, Content(asked.execution_id, text))
    workers = [nodes_of(shared), nodes_of(shared)]
    ledger = parts.ledger
    first = RunActivities(
        parts.directory,
        parts.toolbox,
        now,
        parts=graph_parts(ledger, parts.content, now),
        model_queue="",
    )
    assert (await first.begin_run(asked)).code is None
    spots = [NodeAttempt(asked, f"n{at}", 1, 1) for at in range(12)]
    await asyncio.gather(*(to_thread(worker.transform_node, spot) for spot in spots for worker in workers))
    events = ledger.read(stream(asked.execution_id))
    assert sorted(event.node for event in events if isinstance(event, NodeEnded)) == sorted(spot.node for spot in spots)
    ending = EndRunRequest(asked, "completed", ends=[spot.node for spot in spots])
    ended = [await to_thread(first.end_run, ending) for _ in range(2)]
    assert ended[0] == ended[1]
    assert load(ledger.read(stream(asked.execution_id))).version == 14


async def test_a_late_end_of_an_attempt_does_not_count(shared: System) -> None:
    started = await over(shared, LOOP)
    nodes = nodes_of(shared)
    late = await to_thread(
        nodes.end_node, EndNodeRequest(NodeAttempt(started.asked, "step", 3, 1), "failed", code="LATE")
    )
    assert (late.status, late.taken) == ("completed", [0])
