"""Every way an approval can go, to be recorded."""

import asyncio
from functools import partial
from typing import Any
from uuid import uuid4

from activities.approvals.activities import ApprovalActivities
from activities.approvals.messages import ApprovalRequest
from domain.content import Content
from runtime.wiring.parts import now
from tests.approvals.stage import risks
from tests.scripted_model import ScriptedModel
from tests.system import System, until
from workflows.approvals.start import start_approval
from workflows.approvals.workflow import ApprovalWorkflow

APPROVALS = "/api/v1/approvals"


class _Told:
    """Stands for somebody to tell: the worker at hand tells nobody, and says so."""

    async def deliver(self, notice_id: str, body: str) -> Any:
        raise AssertionError("the worker delivers")


async def asked(system: System, **rules: Any) -> str:
    """An approval under these rules, by a run that is gone."""
    parts, approval_id = system.parts, f"approval_{uuid4().hex}"
    owner = f"chat-{approval_id}"
    content_hash = await asyncio.to_thread(parts.content.put, Content(owner, "Good day."))
    activities = ApprovalActivities(
        parts.ledger,
        parts.instructions,
        parts.content,
        lambda: risks(**rules),
        now,
        start=partial(start_approval, system.temporal),
        webhooks=_Told(),
    )
    ask = ApprovalRequest(
        approval_id=approval_id,
        kind="agent_response",
        risk="medium",
        title="Answer of ali",
        agent_id="ali",
        owner=owner,
        content_hash=content_hash,
        workflow_id=f"gone-{approval_id}",
        root_id=f"gone-{approval_id}",
        key_id="anonymous",
        because="req_1",
    )
    await activities.request_approval(ask)
    return approval_id


async def over(system: System, approval_id: str) -> str:
    handle = system.temporal.get_workflow_handle(approval_id)
    await asyncio.wait_for(handle.result(), 30)
    return approval_id


async def approval_decided(system: System, model: ScriptedModel) -> str:
    """It is passed on, goes up, a signal may not decide it, and of three that want to decide one does."""
    approval_id = await asked(system, escalate_to=("key_boss",))
    path = f"{APPROVALS}/{approval_id}"
    (await system.http.post(f"{path}/delegate", json={"to": "key_b"})).raise_for_status()
    run = system.temporal.get_workflow_handle_for(ApprovalWorkflow.run, approval_id)
    await run.signal("approve", {"by": "maria"})
    (await system.http.post(f"{path}/escalate")).raise_for_status()
    await asyncio.gather(*(system.http.post(f"{path}/approve", json={"edited_content": "Yes."}) for _ in range(3)))
    return await over(system, approval_id)


async def approval_expired(system: System, model: ScriptedModel) -> str:
    """Time reminds, takes it up, reminds again and ends it."""
    approval_id = await asked(system, remind_after_s=0.3, escalate_after_s=0.8, expires_after_s=1.5)
    return await over(system, approval_id)


async def approval_signalled(system: System, model: ScriptedModel) -> str:
    """Two signals want to decide it."""
    approval_id = await asked(system)
    run = system.temporal.get_workflow_handle_for(ApprovalWorkflow.run, approval_id)
    await until(lambda: run.query(ApprovalWorkflow.state), lambda state: state.status == "pending")
    await asyncio.gather(run.signal("reject", "No."), run.signal("approve"))
    return await over(system, approval_id)


async def approval_withdrawn(system: System, model: ScriptedModel) -> str:
    """Its run is cancelled."""
    approval_id = await asked(system)
    await system.temporal.get_workflow_handle(approval_id).cancel()
    return await over(system, approval_id)


SCENES = (approval_decided, approval_expired, approval_signalled, approval_withdrawn)
