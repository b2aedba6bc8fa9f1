"""What a crash leaves open of swarms is put right; what is worked on is left alone."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from activities.reconcile.activities import LOST_AFTER
from activities.reconcile.swarms import SwarmReconciler
from activities.swarm.activities import SwarmActivities
from activities.swarm.messages import EndSwarmRequest, SwarmMember, SwarmRunRequest
from activities.swarm.request import record_request
from domain.chat.events import TurnAnswered
from domain.chat.turns import turn_stream
from domain.content import Content
from domain.ids import nested_session_id
from domain.ledger import Change
from domain.message_parts import MessagePart
from runtime.wiring.parts import now
from tests.scripted_model import ScriptedModel
from tests.swarm.talk import coordinate, over, said, status
from tests.system import System
from workflows.reconcile.workflow import ReconcileWorkflow
from workflows.swarm.messages import SwarmStart
from workflows.swarm.workflow import SwarmWorkflow
from workflows.task_queues import WORKFLOW_QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="module")

LATER = timedelta(minutes=10)


def asked(system: System, *, require_approval: bool = False) -> SwarmRunRequest:
    """A swarm that somebody asked for and nobody runs."""
    wanted = SwarmRunRequest(
        task_id=f"task_{uuid4().hex}",
        mode="parallel",
        members=[SwarmMember("ada", 1), SwarmMember("bea", 1)],
        coordinator=SwarmMember("ali", 1),
        key_id="anonymous",
        because="req_1",
        task_hash="task",
        rounds=2,
        require_approval=require_approval,
    )
    record_request(system.parts.ledger, wanted, now())
    return wanted


def answered(system: System, wanted: SwarmRunRequest, text: str) -> None:
    """Let the first member have spoken."""
    session_id = nested_session_id(wanted.task_id, "ada")
    event = TurnAnswered.model_validate(
        {
            "session_id": session_id,
            "turn": 1,
            "message_id": "m",
            "reply_hash": system.parts.content.put(Content(wanted.task_id, text)),
            "finish": "stop",
            "model": "m",
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "cost": "0",
            "by": "anonymous",
            "because": "req_1",
            "at": now(),
        }
    )
    system.parts.ledger.append(Change(turn_stream(session_id, 1), 0, [event]), key=f"answer:{session_id}")


async def reconciled(system: System, *, clock: datetime | None = None) -> int:
    """One look, ten minutes from now, at views that have caught up."""
    assert await system.app.state.positions.wait("swarm")
    swarms = SwarmActivities(system.parts.ledger, system.parts.content, now, model_queue="nowhere")
    at = clock or now() + LATER
    return await SwarmReconciler(swarms, system.parts.swarms, system.temporal, lambda: at).reconcile_swarms()


async def test_a_swarm_without_a_run_has_failed_with_what_was_said(shared: System) -> None:
    wanted = asked(shared)
    answered(shared, wanted, "So far.")
    assert await reconciled(shared) >= 1
    swarm = await status(shared, wanted.task_id)
    assert (swarm["status"], swarm["partial"], swarm["result"]) == ("failed", True, "## ada\n\nSo far.")
    assert swarm["error"] == {"code": "INTERNAL_ERROR", "message": "the run that worked on it was lost"}
    assert [agent["status"] for agent in swarm["agents"]] == ["completed", "skipped"]
    assert await reconciled(shared) == 0


async def test_what_a_person_had_to_let_go_is_not_given_out_when_it_is_lost(shared: System) -> None:
    wanted = asked(shared, require_approval=True)
    answered(shared, wanted, "So far.")
    await reconciled(shared)
    swarm = await status(shared, wanted.task_id)
    assert (swarm["status"], swarm["partial"], swarm["result"]) == ("failed", False, None)


async def test_a_swarm_that_has_a_run_is_left_alone(shared: System) -> None:
    wanted = asked(shared)
    handle = await shared.temporal.start_workflow(
        SwarmWorkflow.run, SwarmStart(wanted), id=wanted.task_id, task_queue="nobody-works-here"
    )
    await reconciled(shared)
    assert (await status(shared, wanted.task_id))["status"] == "pending"
    await handle.terminate()
    assert await reconciled(shared) == 1
    assert (await status(shared, wanted.task_id))["status"] == "failed"


async def test_a_young_swarm_is_not_looked_up(shared: System) -> None:
    wanted = asked(shared)
    at = datetime.fromisoformat((await status(shared, wanted.task_id))["timings"]["requested_at"])
    assert await reconciled(shared, clock=at + LOST_AFTER) == 0
    await reconciled(shared)


async def test_a_run_that_ends_after_all_changes_nothing(shared: System) -> None:
    wanted = asked(shared)
    await reconciled(shared)
    swarms = SwarmActivities(shared.parts.ledger, shared.parts.content, now, model_queue="nowhere")
    result = shared.parts.content.put(Content(wanted.task_id, "Late."))
    swarms.end_swarm(EndSwarmRequest(wanted, "completed", [MessagePart(hash=result)], seen=1))
    assert (await status(shared, wanted.task_id))["status"] == "failed"


async def test_a_reconciliation_looks_at_swarms_and_disturbs_none(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(said("You are", delay_s=1))
    task_id = (await coordinate(shared))["task_id"]
    done = await shared.temporal.execute_workflow(
        ReconcileWorkflow.run, id=f"reconcile-{uuid4()}", task_queue=WORKFLOW_QUEUE
    )
    assert done.swarms == 0
    assert (await over(shared, task_id))["status"] == "completed"
