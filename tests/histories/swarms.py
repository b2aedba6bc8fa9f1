"""Every way a swarm can go, to be recorded."""

from datetime import UTC, datetime, timedelta

from tests.scripted_model import ScriptedModel
from tests.swarm.talk import (
    AMY,
    ANTONIO,
    AVA,
    MEMBERS,
    SWARM,
    ballot,
    coordinate,
    done,
    handing,
    listing,
    over,
    said,
    status,
    voting,
)
from tests.system import System, until

TASK = "Hello."


async def swarm_collaborative(system: System, model: ScriptedModel) -> str:
    """All go on, and nobody fails."""
    return str((await done(system, "collaborative", task=TASK))["task_id"])


async def swarm_hierarchical(system: System, model: ScriptedModel) -> str:
    """The first split cannot be used, and one of the parts fails."""
    model.script(
        said("Split it into parts", {"parts": []}, times=1),
        said("The answer cannot be used", {"parts": [{"member": m, "task": TASK} for m in MEMBERS]}),
        said(f"You are {AVA}.", status=401),
    )
    return str((await done(system, "hierarchical", task=TASK))["task_id"])


async def swarm_vote(system: System, model: ScriptedModel) -> str:
    """Nobody has a majority, so the coordinator decides."""
    model.script(
        listing("Stay.", "Go."),
        voting(ANTONIO, "option_2"),
        voting(AVA, "option_1"),
        said("Decide: choose one of the options", ballot("option_1")),
    )
    return str((await done(system, "vote", agents=[ANTONIO, AVA]))["task_id"])


async def swarm_handoff(system: System, model: ScriptedModel) -> str:
    """It goes to and fro, through one that fails."""
    model.script(
        handing(ANTONIO, TASK, AMY), said(f"You are {AMY}.", status=401), handing(ANTONIO, TASK, AVA),
        handing(AVA, TASK, "finish"),
    )  # fmt: skip
    return str((await done(system, "handoff", task=TASK))["task_id"])


async def swarm_without_coordinator(system: System, model: ScriptedModel) -> str:
    """The judge fails, so the contributions stand."""
    model.script(said("You are the judge", status=401))
    return str((await done(system, "debate", task=TASK))["task_id"])


async def swarm_deadline(system: System, model: ScriptedModel) -> str:
    """It has no time for its last member."""
    model.script(said(f"You are {AMY}.", delay_s=30))
    deadline = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    return str((await done(system, "sequential", task=TASK, deadline=deadline))["task_id"])


async def swarm_cancelled(system: System, model: ScriptedModel) -> str:
    """Somebody cancels it in its second round."""
    task_id = await _in_its_second_round(system, model)
    (await system.http.post(f"{SWARM}/{task_id}/cancel")).raise_for_status()
    await over(system, task_id)
    return task_id


async def swarm_run_cancelled(system: System, model: ScriptedModel) -> str:
    """Somebody cancels its run."""
    task_id = await _in_its_second_round(system, model)
    await system.temporal.get_workflow_handle(task_id).cancel()
    await over(system, task_id)
    return task_id


async def swarm_held(system: System, model: ScriptedModel) -> str:
    """A person lets its result go, changed."""
    waiting = await _held(system)
    decision = {"edited_content": TASK}
    response = await system.http.post(f"/api/v1/approvals/{waiting['approval_id']}/approve", json=decision)
    response.raise_for_status()
    await over(system, waiting["task_id"])
    return str(waiting["task_id"])


async def swarm_withdrawn(system: System, model: ScriptedModel) -> str:
    """It is cancelled while its result waits for a person."""
    waiting = await _held(system)
    (await system.http.post(f"{SWARM}/{waiting['task_id']}/cancel")).raise_for_status()
    await over(system, waiting["task_id"])
    return str(waiting["task_id"])


async def _in_its_second_round(system: System, model: ScriptedModel) -> str:
    model.script(said("argued in the last round", delay_s=30))
    task_id = str((await coordinate(system, "debate", task=TASK))["task_id"])
    await model.until(lambda bill: len(bill) == 6)
    return task_id


async def _held(system: System) -> dict[str, str]:
    task_id = (await coordinate(system, "parallel", task=TASK, require_approval=True))["task_id"]
    return await until(lambda: status(system, task_id), lambda it: it["status"] == "awaiting_approval", seconds=20)


SCENES = (
    swarm_collaborative,
    swarm_hierarchical,
    swarm_vote,
    swarm_handoff,
    swarm_without_coordinator,
    swarm_deadline,
    swarm_cancelled,
    swarm_run_cancelled,
    swarm_held,
    swarm_withdrawn,
)
