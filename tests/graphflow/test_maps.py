"""Maps: a list's items side by side, joined in their order, however long the list."""

import asyncio
from typing import Any

import pytest

from domain.graphflow.execution.aggregate import item_stream
from tests.graphflow.runs import ANTONIO, run, transform, workflow
from tests.scripted_model import ScriptedModel
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIST = {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "string"}}}}


def mapping(node: dict[str, Any], **more: Any) -> dict[str, Any]:
    inner = {name: value for name, value in node.items() if name != "id"}
    return {"id": "each", "type": "map", "over": "input.items", "max_items": 1000, "node": inner, **more}


def given(count: int) -> dict[str, Any]:
    return {"items": [f"item {at}" for at in range(count)]}


ASKING = {"type": "agent", "agent": ANTONIO, "prompt": "Say {{ item }}"}
COUNTED = transform("end", count="size(nodes.each.output)", last="nodes.each.output[size(nodes.each.output) - 1]")


async def test_five_hundred_items_are_transformed_and_joined(shared: System) -> None:
    document = workflow(
        mapping(transform("", length="size(item)")), COUNTED, edges=[("each", "end")], input=LIST
    )  # fmt: skip
    started = await run(shared, document, given(500))
    assert await started.output() == {"end": {"count": 500, "last": {"length": 8}}}


async def test_agents_answer_for_each_item_in_their_order(shared: System, scripted_model: ScriptedModel) -> None:
    rules = [{"contains": f"Say item {at}", "text": f"Said {at}.", "times": None} for at in range(5)]
    scripted_model.script(*rules)
    started = await run(shared, workflow(mapping(ASKING), input=LIST), given(5))
    assert await started.output() == {"each": [f"Said {at}." for at in range(5)]}
    seen = await started.seen("completed")
    assert (seen.nodes[0].items, seen.nodes[0].items_ended) == (5, 5)


@pytest.mark.parametrize("count", [120, pytest.param(500, marks=pytest.mark.prove)])
async def test_a_long_list_is_done_in_parts_and_no_history_grows_long(
    shared: System, scripted_model: ScriptedModel, count: int
) -> None:
    document = workflow(mapping(ASKING, parallel=20), COUNTED, edges=[("each", "end")], input=LIST)
    started = await run(shared, document, given(count))
    assert (await started.output())["end"]["count"] == count
    assert len((await started.handle.fetch_history()).events) < 100
    part = shared.temporal.get_workflow_handle(f"{started.id}/each/1/1/100")
    assert len((await part.fetch_history()).events) < 1_000
    ends = await asyncio.to_thread(
        shared.parts.ledger.read_many, [item_stream(started.id, "each", 1, at) for at in range(count)]
    )
    assert [len(events) for events in ends.values()] == [1] * count


async def test_an_item_that_fails_fails_the_map_unless_it_goes_on(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "Say item 1", "status": 401, "times": None})
    over = await (await run(shared, workflow(mapping(ASKING), input=LIST), given(3))).over()
    assert (over.status, over.node, over.code) == ("failed", "each", "UPSTREAM_ERROR")
    goes_on = mapping(ASKING, on_item_error="continue")
    output = await (await run(shared, workflow(goes_on, input=LIST), given(3))).output()
    assert [value is None for value in output["each"]] == [False, True, False]


async def test_another_attempt_at_a_map_does_only_what_is_missing(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "Say item 2", "status": 401, "times": 1})
    again = mapping(ASKING, retry={"attempts": 2, "pause_s": 0.1}, parallel=1)
    started = await run(shared, workflow(again, input=LIST), given(3))
    await started.output()
    asked = [call["session_id"].partition("/")[2] for call in await shared.calls(workflow_id=started.id)]
    assert sorted(asked) == ["each.1.0", "each.1.1", "each.1.2", "each.1.2"]


async def test_a_list_that_is_too_long_or_no_list_is_refused(shared: System) -> None:
    over = await (await run(shared, workflow(mapping(ASKING, max_items=2), input=LIST), given(3))).over()
    assert (over.status, over.code, over.reason) == ("failed", "TOO_MANY_ITEMS", "there are 3 items, and 2 at most")
    over = await (await run(shared, workflow(mapping(ASKING, over="input"), input=LIST), given(3))).over()
    assert over.code == "NOT_A_LIST"


async def test_an_empty_list_gives_an_empty_list(shared: System) -> None:
    assert await (await run(shared, workflow(mapping(ASKING), input=LIST), given(0))).output() == {"each": []}
