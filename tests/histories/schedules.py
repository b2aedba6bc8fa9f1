"""Firings of schedules: of work that goes on for a while, and of a schedule that does not fire."""

from uuid import uuid4

from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System, until
from workflows.schedules.messages import FiringStart
from workflows.schedules.workflow import ScheduleFiringWorkflow
from workflows.task_queues import WORKFLOW_QUEUE

SCHEDULES = "/api/v1/schedules"


async def firing_accepted(system: System, model: ScriptedModel) -> str:
    """It waits until a swarm has ended."""
    model.script({"contains": "Plan", "delay_s": 2, "times": None})
    return await _fired(system, await _made(system, "amy_cfo"))


async def firing_refused(system: System, model: ScriptedModel) -> str:
    """The agent does not exist."""
    return await _fired(system, await _made(system, "nobody"))


async def firing_ignored(system: System, model: ScriptedModel) -> str:
    """The schedule is paused, and Temporal fires all the same."""
    schedule_id = await _made(system, AGENT)
    (await system.http.post(f"{SCHEDULES}/{schedule_id}/pause")).raise_for_status()
    handle = await system.temporal.start_workflow(
        ScheduleFiringWorkflow.run, FiringStart(schedule_id), id=f"firing-{uuid4()}", task_queue=WORKFLOW_QUEUE
    )
    await handle.result()
    return handle.id


async def _made(system: System, agent: str) -> str:
    target = {"kind": "swarm", "task": "Plan.", "agents": [agent]}
    made = await system.http.post(SCHEDULES, json={"target": target, "cron": "0 0 1 1 *"})
    return str(made.raise_for_status().json()["id"])


async def _fired(system: System, schedule_id: str) -> str:
    fired = (await system.http.post(f"{SCHEDULES}/{schedule_id}/trigger")).raise_for_status().json()
    handle = system.temporal.get_workflow_handle(fired["id"])
    await until(handle.describe, lambda found: found.close_time is not None, seconds=60)
    return str(fired["id"])


SCENES = (firing_accepted, firing_refused, firing_ignored)
