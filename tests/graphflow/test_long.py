"""Runs that outlast workers, and runs of a month."""

import asyncio
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from domain.graphflow.execution.events import NodeBegun
from runtime.converter import data_converter
from runtime.processes.worker import make_workers, run_until_stopped
from runtime.settings import Settings
from runtime.wiring.parts import make_parts
from tests.graphflow.runs import ANTONIO, Run, define, run, transform, workflow
from tests.scripted_model import ScriptedModel
from tests.system import System, running, until
from workflows.graphflow.messages import ExecutionEvent
from workflows.graphflow.workflow import GraphWorkflow
from workflows.search_attributes import ALL_ATTRIBUTES

TEST_SERVER = Path(sys.executable).with_name("temporal-test-server")
WAIT = {"id": "paid", "type": "wait", "event": "payment"}


async def test_another_worker_goes_on_where_the_first_one_left(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    ask = {"id": "ask", "type": "agent", "agent": ANTONIO, "prompt": "Say {{ nodes.first.output.x }}"}
    document = workflow(transform("first", x="1"), ask, WAIT, transform("end", said="nodes.ask.output"),
                        edges=[("first", "ask"), ("ask", "paid"), ("paid", "end")])  # fmt: skip
    scripted_model.script({"contains": "Say 1", "text": "Said.", "times": None})
    async with running(system_settings) as system:
        begun = await run(system, document)
        await until(lambda: asyncio.to_thread(begun.story), lambda story: "NodeBegun paid 1.1" in story)
    async with running(system_settings) as system:
        handle = system.temporal.get_workflow_handle_for(GraphWorkflow.run, begun.id)
        after = Run(system.parts, begun.asked, handle)
        await handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment"))
        assert await after.output() == {"end": {"said": "Said."}}
        assert [f"{end.node} {end.attempt}" for end in after.ends()] == ["first 1", "ask 1", "paid 1", "end 1"]
    assert len(scripted_model.bill()) == 1


async def test_a_run_keeps_its_version_when_a_newer_one_is_deployed(system: System) -> None:
    name = await asyncio.to_thread(
        define, system.parts, workflow(WAIT, transform("end", x="1"), edges=[("paid", "end")])
    )
    old = await run(system, name)
    newer = workflow(WAIT, transform("end", x="2"), edges=[("paid", "end")])
    await asyncio.to_thread(define, system.parts, newer, name, 2)
    new = await run(system, name, version=2)
    for started in (old, new):
        await started.handle.execute_update(GraphWorkflow.event, ExecutionEvent("event_1", "payment"))
    assert [await started.output() for started in (old, new)] == [{"end": {"x": 1}}, {"end": {"x": 2}}]


@pytest.mark.parametrize("events_per_run", [1000, 10])
async def test_a_run_of_thirty_days_waits_and_ends(system_settings: Settings, events_per_run: int) -> None:
    days = [{"id": f"day{at}", "type": "wait", "seconds": 24 * 3600} for at in range(30)]
    document = workflow(
        *days, edges=[(f"day{at}", f"day{at + 1}") for at in range(29)], output="{{ nodes.day29.status }}"
    )
    parts = make_parts(system_settings)
    parts.database.open()
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=data_converter, test_server_existing_path=str(TEST_SERVER)
    ) as environment:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await environment.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace="default", search_attributes={key.name: keyword for key in ALL_ATTRIBUTES}
            )
        )
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_until_stopped(make_workers(system_settings, environment.client, parts, None), stop)
        )
        try:
            stage = System(system_settings, parts, environment.client, None, None)  # type: ignore[arg-type]
            started = await run(stage, document, events_per_run=events_per_run)
            assert await started.output() == "completed"
            ends = [e.until for e in started.events() if isinstance(e, NodeBegun)]
            lasted = datetime.fromisoformat(ends[-1] or "") - datetime.fromisoformat(ends[0] or "")
            assert (len(ends), round(lasted / timedelta(days=1))) == (30, 29)
        finally:
            stop.set()
            await task
            await parts.toolbox.aclose()
            await parts.model.aclose()
            await parts.live.aclose()
            await asyncio.to_thread(parts.database.close)
