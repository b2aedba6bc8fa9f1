"""What is undone when a run fails or is cancelled, visit by visit and run by run, and how that is seen."""

import asyncio
from typing import Any

import pytest

from domain.graphflow.execution.events import NodeCompensated
from tests.graphflow.runs import ANTONIO, Run, again, define, run, transform, workflow
from tests.scripted_model import ScriptedModel
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAILS = transform("fails", x="1 / 0")


def booking(node: str = "book", **more: Any) -> dict[str, Any]:
    prompt = f"Undo {node} {{{{ nodes.{node}.output }}}}, visit {{{{ visit }}}}"
    undo = {"type": "agent", "agent": ANTONIO, "prompt": prompt}
    return {"id": node, "type": "agent", "agent": ANTONIO, "prompt": f"Do {node}", "compensate": undo, **more}


def undone(started: Run) -> list[tuple[str, int, str]]:
    events = (event for event in started.events() if isinstance(event, NodeCompensated))
    return [(event.node, event.visit, event.status) for event in events]


def asked_to_undo(model: ScriptedModel) -> list[str]:
    """The last messages of the requests that undo something, in their order."""
    said = [str(request["messages"][-1]["content"]) for request in model.requests()]
    return [each for each in said if each.startswith("Undo")]


async def test_each_visit_of_a_loop_is_undone_with_its_own_output(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    for number in (1, 2, 3):
        scripted_model.script({"contains": "Do book", "text": f"Ticket {number}."})
    edges = [("book", "book", "visit < 3"), ("book", "fails", "otherwise")]
    started = await run(shared, workflow(booking(max_visits=3), FAILS, edges=edges))
    assert (await started.over()).status == "failed"
    assert undone(started) == [("book", 3, "completed"), ("book", 2, "completed"), ("book", 1, "completed")]
    assert asked_to_undo(scripted_model) == [f"Undo book Ticket {n}., visit {n}" for n in (3, 2, 1)]


async def test_what_a_visit_read_of_others_is_undone_as_it_was_then(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    book = booking()
    book["compensate"]["prompt"] = "Undo {{ nodes.count.output.n }}"
    nodes = (transform("count", n="visit * 10"), {**book, "max_visits": 2}, FAILS)
    edges = [("count", "book"), ("book", "count", "visit < 2"), ("book", "fails", "otherwise")]
    started = await run(shared, workflow({**nodes[0], "max_visits": 2}, *nodes[1:], edges=edges))
    assert (await started.over()).status == "failed"
    assert asked_to_undo(scripted_model) == ["Undo 20", "Undo 10"]


async def test_an_undoing_that_failed_is_seen_and_the_others_are_done(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    broken = booking("broken")
    broken["compensate"]["prompt"] = "{{ nodes.broken.output.nothing }}"
    document = workflow(booking(), broken, FAILS, edges=[("book", "broken"), ("broken", "fails")])
    started = await run(shared, document)
    assert (await started.over()).status == "failed"
    assert undone(started) == [("broken", 1, "failed"), ("book", 1, "completed")]
    seen = await started.seen("failed")
    shown = [(node.compensated, node.compensation, node.compensation_error) for node in seen.nodes]
    assert shown[0] == (True, "completed", None)
    assert shown[1][:2] == (False, "failed")
    assert shown[1][2]
    assert shown[2] == (False, None, None)


async def test_a_visit_that_could_not_be_undone_is_not_hidden_by_one_that_was(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    book = booking(max_visits=2)
    book["compensate"]["prompt"] = "Undo {{ visit == 2 ? string(1 / 0) : 'it' }}"
    edges = [("book", "book", "visit < 2"), ("book", "fails", "otherwise")]
    started = await run(shared, workflow(book, FAILS, edges=edges))
    assert (await started.over()).status == "failed"
    assert undone(started) == [("book", 2, "failed"), ("book", 1, "completed")]
    node = (await started.seen("failed")).nodes[0]
    assert (node.compensated, node.compensation, bool(node.compensation_error)) == (False, "failed", True)


INNER = workflow(booking("inner"), input={"type": "object"})


def of(workflow_id: str, node: str = "part", **more: Any) -> dict[str, Any]:
    return {"id": node, "type": "workflow", "workflow": workflow_id, "input": {}, **more}


async def test_a_workflow_that_has_completed_is_undone_with_the_one_around_it(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    inner = await asyncio.to_thread(define, shared.parts, INNER)
    middle = await asyncio.to_thread(
        define, shared.parts, workflow(of(inner), booking("own"), input={"type": "object"}, edges=[("part", "own")])
    )
    started = await run(shared, workflow(of(middle, "outer"), FAILS, edges=[("outer", "fails")]))
    over = await started.over()
    assert (over.status, over.node) == ("failed", "fails")
    assert undone(started) == [("outer", 1, "completed")]
    said = [each.split(" ")[1] for each in asked_to_undo(scripted_model)]
    assert said == ["own", "inner"]
    assert [(node.compensated, node.status) for node in (await started.seen("failed")).nodes] == [
        (True, "completed"),
        (False, "failed"),
    ]
    over = await (await again(shared, started)).over()
    assert (over.status, over.code) == ("failed", "Conflict")


async def test_the_runs_of_a_map_are_undone_the_latest_first(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.reset()
    one = booking("inner")
    one["compensate"]["prompt"] = "Undo {{ input.item }}"
    inner = await asyncio.to_thread(define, shared.parts, workflow(one, input={"type": "object"}))
    each = {"type": "workflow", "workflow": inner, "input": {"item": "{{ item }}"}}
    listed = {"id": "all", "type": "map", "over": "['a', 'b', 'c']", "node": each}
    started = await run(shared, workflow(listed, FAILS, edges=[("all", "fails")]))
    assert (await started.over()).status == "failed"
    assert asked_to_undo(scripted_model) == ["Undo c", "Undo b", "Undo a"]
    assert undone(started) == [("all", 1, "completed")]


async def test_a_workflow_with_a_compensation_of_its_own_is_undone_by_that_alone(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    inner = await asyncio.to_thread(define, shared.parts, INNER)
    undo = {"type": "agent", "agent": ANTONIO, "prompt": "Undo it all"}
    started = await run(shared, workflow(of(inner, compensate=undo), FAILS, edges=[("part", "fails")]))
    assert (await started.over()).status == "failed"
    assert asked_to_undo(scripted_model) == ["Undo it all"]


async def test_a_workflow_inside_that_could_not_be_undone_is_seen_from_outside(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    broken = booking("inner")
    broken["compensate"]["prompt"] = "{{ nodes.inner.output.nothing }}"
    inner = await asyncio.to_thread(define, shared.parts, workflow(broken, input={"type": "object"}))
    started = await run(shared, workflow(of(inner), FAILS, edges=[("part", "fails")]))
    assert (await started.over()).status == "failed"
    node = (await started.seen("failed")).nodes[0]
    assert (node.compensated, node.compensation) == (False, "failed")
    assert "inner" in (node.compensation_error or "")


async def test_a_workflow_with_nothing_to_undo_is_left_alone(shared: System) -> None:
    inner = await asyncio.to_thread(define, shared.parts, workflow(transform("a", x="1"), input={"type": "object"}))
    started = await run(shared, workflow(of(inner), FAILS, edges=[("part", "fails")]))
    assert (await started.over()).status == "failed"
    assert undone(started) == []


async def test_a_condition_that_failed_is_evaluated_again_without_paying_again(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    scripted_model.script({"contains": "Do book", "text": "Paid for.", "times": None})
    node = {"id": "book", "type": "agent", "agent": ANTONIO, "prompt": "Do book"}
    end = transform("end", x="nodes.book.output")
    started = await run(shared, workflow(node, end, edges=[("book", "end", "nodes.book.output.size() / 0 > 1")]))
    over = await started.over()
    assert (over.status, over.node, over.code) == ("failed", "book", "EXPRESSION_FAILED")
    shown = (await started.seen("failed")).nodes[0]
    assert shown.output_hash
    assert started.parts.content.get(started.id, [shown.output_hash]) == {shown.output_hash: "Paid for."}
    for number in (1, 2):
        over = await (await again(shared, started, f"req_again_{number}")).over()
        assert (over.status, over.code) == ("failed", "EXPRESSION_FAILED")
    assert len(await shared.calls(workflow_id=started.id)) == 1
    assert [ended.attempt for ended in started.ends("book")] == [1, 2, 3]


async def test_a_run_that_failed_only_in_its_output_cannot_be_gone_on_with(shared: System) -> None:
    started = await run(shared, workflow(transform("a", x="1"), output={"x": "{{ nodes.a.output.x / 0 }}"}))
    over = await started.over()
    assert (over.status, over.code) == ("failed", "EXPRESSION_FAILED")
    over = await (await again(shared, started)).over()
    assert (over.status, over.code) == ("failed", "Conflict")
    assert "start a new run" in (over.reason or "")
