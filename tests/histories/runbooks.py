"""Runs of runbooks: one that completes, one that waits for an approval and is rejected, one that is cancelled."""

from tests.runbooks.stage import ended, request
from tests.scripted_model import ScriptedModel
from tests.system import System, until


async def runbook_completed(system: System, model: ScriptedModel) -> str:
    """Two steps."""
    requested = await request(system, "clear-cache")
    return await _over(system, requested.headers["location"])


async def runbook_failed(system: System, model: ScriptedModel) -> str:
    """Its first step is refused."""
    requested = await request(system, "drain-worker", worker="1@nowhere")
    return await _over(system, requested.headers["location"])


async def runbook_rejected(system: System, model: ScriptedModel) -> str:
    """It waits for an approval, which is not given."""
    location, approval_id = await _waiting(system)
    rejecting = await system.http.post(f"/api/v1/approvals/{approval_id}/reject", json={"reason": "No."})
    rejecting.raise_for_status()
    return await _over(system, location)


async def runbook_cancelled(system: System, model: ScriptedModel) -> str:
    """It is cancelled while it waits."""
    location, _ = await _waiting(system)
    await system.temporal.get_workflow_handle(location.rpartition("/")[2]).cancel()
    return await _over(system, location)


async def _waiting(system: System) -> tuple[str, str]:
    requested = await request(system, "rotate-signing-key")
    location = requested.headers["location"]
    waiting = await until(
        lambda: system.http.get(location), lambda answer: answer.json()["approval_id"] is not None, seconds=30
    )
    return location, str(waiting.json()["approval_id"])


async def _over(system: System, location: str) -> str:
    run = await ended(system, location)
    await system.temporal.get_workflow_handle(run["run_id"]).result()
    return str(run["run_id"])


SCENES = (runbook_completed, runbook_failed, runbook_rejected, runbook_cancelled)
