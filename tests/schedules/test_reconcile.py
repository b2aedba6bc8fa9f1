"""The ledger says which schedules there are: Temporal is brought to that after every crash."""

from typing import Any

import pytest
from temporalio.client import Client, ScheduleUpdate, ScheduleUpdateInput
from temporalio.service import RPCError, RPCStatusCode

from activities.schedules.settlement import ScheduleSettlement
from domain.errors import Unavailable
from domain.schedules.commands import ScheduleCommands
from runtime.wiring.parts import now
from tests.schedules.stage import PATH, call, fired, make
from tests.scripted_model import ScriptedModel
from tests.system import System, until
from workflows.reconcile.workflow import ReconcileWorkflow
from workflows.schedules.client import TemporalTimers
from workflows.task_queues import WORKFLOW_QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Temporal's schedules cannot be changed: as if the API had died right after its append."""

    async def fail(*_: Any) -> None:
        raise Unavailable("Temporal cannot be reached")

    monkeypatch.setattr(TemporalTimers, "put", fail)
    monkeypatch.setattr(TemporalTimers, "remove", fail)
    return monkeypatch


async def reconcile(system: System) -> int:
    """Reconcile once, by the workflow itself."""
    done = await system.temporal.execute_workflow(
        ReconcileWorkflow.run, id=f"reconcile-{now().timestamp()}", task_queue=WORKFLOW_QUEUE
    )
    return done.schedules


async def reconciled(system: System) -> None:
    """Reconcile until Temporal's own list, which lags behind, shows what the ledger says."""
    await until(lambda: reconcile(system), lambda count: count == 0, seconds=30)


async def exists(client: Client, schedule_id: str) -> bool:
    try:
        await client.get_schedule_handle(schedule_id).describe()
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND
    return True


async def test_a_schedule_that_temporal_lacks_is_made(
    shared: System, unreachable: pytest.MonkeyPatch, scripted_model: ScriptedModel
) -> None:
    body = {"target": {"kind": "swarm", "task": "Plan.", "agents": ["amy_cfo"]}, "every_s": 10}
    made = await shared.http.post(PATH, json=body)
    assert (made.status_code, made.json()["in_force"], made.json()["next_times"]) == (201, False, None)
    assert not await exists(shared.temporal, made.json()["id"])
    unreachable.undo()
    await reconciled(shared)
    found = (await shared.http.get(f"{PATH}/{made.json()['id']}")).json()
    assert (found["in_force"], len(found["next_times"])) == (True, 5)
    (firing, *_) = await fired(shared, made.json())
    assert firing["status"] == "accepted"
    await shared.http.delete(f"{PATH}/{made.json()['id']}")


async def test_a_deleted_schedule_fires_no_more_even_before_temporal_knows(
    shared: System, unreachable: pytest.MonkeyPatch
) -> None:
    unreachable.undo()
    made = await make(shared)
    with pytest.MonkeyPatch.context() as patch:
        for method in ("put", "remove"):
            patch.setattr(TemporalTimers, method, _fail)
        assert (await shared.http.delete(f"{PATH}/{made['id']}")).status_code == 200
    handle = shared.temporal.get_schedule_handle(made["id"])
    await handle.trigger()
    info = await until(lambda: _info(shared.temporal, made["id"]), lambda found: bool(found.recent_actions))
    started = shared.temporal.get_workflow_handle(info.recent_actions[0].action.workflow_id)
    assert await started.result() == "not_fired"

    async def is_there() -> bool:
        await reconcile(shared)
        return await exists(shared.temporal, made["id"])

    # Temporal's list may not have it yet, and then there is nothing to reconcile
    await until(is_there, lambda there: not there, seconds=30)


async def _fail(*_: Any) -> None:
    raise Unavailable("Temporal cannot be reached")


async def _info(client: Client, schedule_id: str) -> Any:
    return (await client.get_schedule_handle(schedule_id).describe()).info


async def test_what_somebody_changed_in_temporal_is_set_right(shared: System) -> None:
    made = await make(shared)
    handle = shared.temporal.get_schedule_handle(made["id"])
    await handle.pause(note="by hand")
    await until(lambda: reconcile(shared), lambda count: count > 0, seconds=30)
    described = await handle.describe()
    assert (described.schedule.state.paused, described.schedule.state.note) == (False, "revision 1")

    def older(found: ScheduleUpdateInput) -> ScheduleUpdate:
        found.description.schedule.state.note = "revision 0"
        return ScheduleUpdate(found.description.schedule)

    await handle.update(older)
    await until(lambda: reconcile(shared), lambda count: count > 0, seconds=30)
    assert (await handle.describe()).schedule.state.note == "revision 1"


async def test_a_schedule_that_the_ledger_does_not_know_is_removed(shared: System) -> None:
    made = await make(shared)
    described = await shared.temporal.get_schedule_handle(made["id"]).describe()
    await shared.temporal.create_schedule("schedule_nobodys", described.schedule)
    await shared.temporal.create_schedule("somebody-elses", described.schedule)
    await until(lambda: reconcile(shared), lambda count: count > 0, seconds=30)
    assert not await exists(shared.temporal, "schedule_nobodys")
    assert await exists(shared.temporal, "somebody-elses")


async def test_a_paused_schedule_that_temporal_has_as_active_does_not_fire(shared: System) -> None:
    made = await make(shared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TemporalTimers, "put", _fail)
        paused = await call(shared, made, "pause")
    assert (paused.json()["status"], paused.json()["in_force"]) == ("paused", False)
    await shared.temporal.get_schedule_handle(made["id"]).trigger()
    info = await until(lambda: _info(shared.temporal, made["id"]), lambda found: bool(found.recent_actions))
    started = shared.temporal.get_workflow_handle(info.recent_actions[0].action.workflow_id)
    assert await started.result() == "not_fired"


async def test_a_slower_writer_brings_the_newest_state_last(shared: System) -> None:
    made = await make(shared)
    commands, timers = ScheduleCommands(shared.parts.ledger), TemporalTimers(shared.temporal)

    class Overtaken(TemporalTimers):
        """Its first write is overtaken by a change."""

        overtaken = False

        async def put(self, schedule_id: str, schedule: Any) -> None:
            if not self.overtaken:
                self.overtaken = True
                assert (await call(shared, made, "pause")).status_code == 200
            await timers.put(schedule_id, schedule)

    await ScheduleSettlement(shared.parts.ledger, Overtaken(shared.temporal)).settle(made["id"])
    assert commands.load("default", made["id"]).paused
    described = await shared.temporal.get_schedule_handle(made["id"]).describe()
    assert (described.schedule.state.paused, described.schedule.state.note) == (True, "revision 2")
