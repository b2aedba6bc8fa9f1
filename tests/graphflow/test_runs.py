"""Runs of workflows on the whole system: the schedule, nodes of every type, what people decide."""

import asyncio
from typing import Any

import pytest

from tests.graphflow.runs import ANTONIO, AVA, again, chain, define, run, transform, workflow
from tests.scripted_model import ScriptedModel
from tests.system import System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


def agent(node: str, prompt: str = "Answer: {{ input.request }}", **more: Any) -> dict[str, Any]:
    return {"id": node, "type": "agent", "agent": ANTONIO, "prompt": prompt, **more}


def said(contains: str, text: str, **more: Any) -> dict[str, Any]:
    return {"contains": contains, "text": text, "times": None, **more}


async def test_a_chain_of_transforms_puts_out_what_its_end_has_made(shared: System) -> None:
    started = await run(shared, chain(10))
    assert await started.output() == {"n9": {"value": 10}}
    assert [f"{e.node} {e.visit}.{e.attempt}" for e in started.ends()] == [f"n{at} 1.1" for at in range(10)]
    seen = await started.seen("completed")
    assert {node.status for node in seen.nodes} == {"completed"}
    history = await started.handle.fetch_history()
    assert len(history.events) < 40


async def test_conditions_choose_and_what_is_not_chosen_is_skipped(shared: System) -> None:
    document = workflow(
        transform("look", size="size(input.request)"),
        transform("long", told="'long'"),
        transform("short", told="'short'"),
        transform("end", told="has(nodes.long.output) ? nodes.long.output.told : nodes.short.output.told"),
        edges=[
            ("look", "long", "nodes.look.output.size > 10"),
            ("look", "short", "otherwise"),
            ("long", "end"),
            ("short", "end"),
        ],
        output={"told": "{{ nodes.end.output.told }}", "status": "{{ nodes.short.status }}"},
    )
    started = await run(shared, document)
    assert await started.output() == {"told": "long", "status": "skipped"}
    assert {node.node: node.status for node in (await started.seen("completed")).nodes}["short"] == "skipped"


async def test_a_loop_of_fifty_rounds_ends_and_continues_as_new_on_the_way(shared: System) -> None:
    document = workflow(
        {**transform("step", round="visit", before="has(nodes.check.output) ? nodes.check.output.round : 0"),
         "max_visits": 60},
        {**transform("check", round="nodes.step.output.round"), "max_visits": 60},
        transform("end", rounds="nodes.check.output.round"),
        edges=[
            ("step", "check"),
            ("check", "step", "nodes.check.output.round < 50"),
            ("check", "end", "otherwise"),
        ],
    )  # fmt: skip
    started = await run(shared, document, events_per_run=30)
    assert await started.output() == {"end": {"rounds": 50}}
    assert len(started.ends("step")) == 50
    assert (await started.handle.describe()).run_id != started.handle.first_execution_run_id


async def test_an_agent_answers_and_the_next_reads_it(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(said("Plan: Find a way.", "A plan."), said("Judge: A plan.", "Good."))
    document = workflow(
        agent("plan", "Plan: {{ input.request }}"),
        agent("judge", "Judge: {{ nodes.plan.output }}"),
        edges=[("plan", "judge")],
        output="{{ nodes.judge.output }}",
    )
    started = await run(shared, document)
    assert await started.output() == "Good."
    await started.seen("completed")
    calls = await shared.calls(workflow_id=started.id)
    assert sorted(call["session_id"] for call in calls) == [f"{started.id}/judge", f"{started.id}/plan"]
    seen = await until(lambda: asyncio.to_thread(started.parts.runs.run, started.id), lambda it: len(it.spent) == 2)
    assert seen.total.tokens == sum(spent.tokens for spent in seen.spent.values()) > 0


async def test_a_declared_output_is_asked_for_and_can_be_read(shared: System, scripted_model: ScriptedModel) -> None:
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}
    scripted_model.script(said("Rate", '{"score": "high"}', times=1), said("The answer cannot be used", '{"score": 7}'))
    document = workflow(
        agent("rate", "Rate {{ input.request }}", output=schema),
        transform("end", doubled="nodes.rate.output.score * 2"),
        edges=[("rate", "end", "nodes.rate.output.score > 5")],
    )
    assert await (await run(shared, document)).output() == {"end": {"doubled": 14}}


async def test_a_failed_attempt_is_made_again_and_both_are_on_the_record(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "Answer", "status": 401, "times": 1})
    started = await run(shared, workflow(agent("ask", retry={"attempts": 3, "pause_s": 0.1})))
    await started.output()
    assert started.story() == ["NodeBegun ask 1.1", "AttemptFailed ask 1.1", "NodeBegun ask 1.2", "NodeEnded ask 1.2"]


async def test_a_run_whose_node_fails_has_failed_and_goes_on_from_there(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "Answer", "status": 401, "times": 1})
    document = workflow(
        transform("first", x="1"), agent("ask"), transform("end", y="nodes.first.output.x + 1"),
        edges=[("first", "ask"), ("ask", "end")],
    )  # fmt: skip
    started = await run(shared, document)
    over = await started.over()
    assert (over.status, over.node, over.code) == ("failed", "ask", "UPSTREAM_ERROR")
    seen = await started.seen("failed")
    assert [node.status for node in seen.nodes] == ["completed", "failed", "skipped"]
    retried = await again(shared, started)
    assert await retried.output() == {"end": {"y": 2}}
    assert started.story() == [
        "NodeEnded first 1.1",
        "NodeBegun ask 1.1",
        "NodeEnded ask 1.1",
        "NodeBegun ask 1.2",
        "NodeEnded ask 1.2",
        "NodeEnded end 1.1",
    ]
    assert [node.status for node in (await started.seen("completed")).nodes] == ["completed"] * 3


async def test_what_an_expression_cannot_read_fails_its_node_with_a_sentence(shared: System) -> None:
    over = await (await run(shared, workflow(transform("bad", x="input.nothing + 1")))).over()
    assert (over.status, over.node, over.code) == ("failed", "bad", "EXPRESSION_FAILED")
    assert "nothing" in (over.reason or "")


async def test_after_an_error_a_run_goes_on_or_goes_elsewhere(shared: System) -> None:
    bad = transform("bad", x="input.nothing")
    document = workflow(
        {**bad, "on_error": "continue"},
        transform("end", status="nodes.bad.status", code="nodes.bad.error.code"),
        edges=[("bad", "end")],
    )
    assert await (await run(shared, document)).output() == {"end": {"status": "failed", "code": "EXPRESSION_FAILED"}}
    document = workflow(
        {**bad, "on_error": {"goto": "help"}}, transform("end", x="1"), transform("help", y="2"), edges=[("bad", "end")]
    )
    assert await (await run(shared, document)).output() == {"help": {"y": 2}}


async def test_an_input_that_does_not_fit_ends_the_run_before_it_begins(shared: System) -> None:
    over = await (await run(shared, chain(2), {"request": 5})).over()
    assert (over.status, over.code) == ("failed", "INPUT_INVALID")
    over = await (await run(shared, workflow({**agent("ask"), "agent": "nobody_at_all"}))).over()
    assert (over.code, over.reason) == ("AGENT_UNKNOWN", "there is no agent nobody_at_all, or it is not deployed")


async def test_an_output_that_cannot_be_made_fails_the_run(shared: System) -> None:
    over = await (await run(shared, workflow(transform("a", x="1"), output="{{ nodes.a.output.y }}"))).over()
    assert (over.status, over.node, over.code) == ("failed", None, "EXPRESSION_FAILED")
    assert (over.reason or "").startswith("the output: ")


async def test_a_workflow_inside_a_workflow_gives_its_output(shared: System, scripted_model: ScriptedModel) -> None:
    word = {"type": "object", "properties": {"word": {"type": "string"}}}
    inner = await asyncio.to_thread(define, shared.parts, workflow(agent("ask", "Say {{ input.word }}"), input=word))
    scripted_model.script(said("Say Find a way.", "Said."))
    document = workflow(
        {"id": "inner", "type": "workflow", "workflow": inner, "input": {"word": "{{ input.request }}"}},
        transform("end", said="nodes.inner.output.ask"),
        edges=[("inner", "end")],
    )
    started = await run(shared, document)
    assert await started.output() == {"end": {"said": "Said."}}
    [call] = await shared.calls(workflow_id=started.id)
    seen = await started.seen("completed")
    assert call["session_id"] == f"{seen.nodes[0].child_id}/ask"


async def test_a_swarm_works_on_its_task(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(said("Make one result of it", "All in one."))
    node = {"id": "team", "type": "swarm", "agents": [ANTONIO, AVA], "mode": "parallel", "task": "{{ input.request }}"}
    started = await run(shared, workflow(node, output="{{ nodes.team.output }}"))
    assert await started.output() == "All in one."
    await started.seen("completed")
    seen = await until(lambda: asyncio.to_thread(started.parts.runs.run, started.id), lambda it: it.total.tokens > 0)
    assert seen.spent.keys() == {"team"}


async def test_a_tool_is_called_and_its_result_can_be_read(shared: System) -> None:
    arguments = {"period": "{{ input.request }}", "group_by": "agent"}
    node = {"id": "costs", "type": "tool", "tool": "query_costs", "arguments": arguments}
    started = await run(shared, workflow(node), {"request": "7d"})
    assert (await started.output())["costs"]
    calls = await until(lambda: asyncio.to_thread(shared.parts.tools.of_workflow, started.id), bool)
    assert [call.name for call in calls] == ["query_costs"]


async def test_a_tool_that_fails_fails_its_node(shared: System) -> None:
    node = {"id": "costs", "type": "tool", "tool": "query_costs", "arguments": {"period": "never"}}
    over = await (await run(shared, workflow(node))).over()
    assert (over.status, over.code, over.reason) == ("failed", "TOOL_FAILED", "query_costs: error")
