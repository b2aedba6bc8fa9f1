"""What somebody who reaches Temporal cannot do: decide in another's name."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.approvals.messages import (
    ApprovalDecision,
    ApprovalRequest,
    ApprovalStart,
    ApprovalWithdrawal,
    DeadlineAction,
    InstructionRef,
    RoutedInstruction,
    SignalDecision,
    WebhookNotification,
    start_of,
)
from activities.approvals.notices import build_notification, verified_notification
from domain.approvals.aggregate import load as standing
from domain.approvals.instructions import Instruction
from domain.content import Content
from domain.errors import Forbidden
from runtime.wiring.parts import now
from tests.approvals.stage import OWNER, Stage, risks
from tests.approvals.waiter import Waiter
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.task_queues import WORKFLOW_QUEUE

SESSION = "session_of_the_asker"


def instruction(ask: ApprovalRequest, by: str, **more: Any) -> Instruction:
    fields = {"approval_id": ask.approval_id, "command_id": uuid4().hex, "verb": "approve", "identity": "proven"}
    return Instruction(**{**fields, "by": by, "because": "req_forged", **more})  # type: ignore[arg-type]


async def asked(stage: Stage, **more: Any) -> ApprovalRequest:
    """An approval that is open in the ledger; its true run is gone."""
    ask = stage.ask(**more)
    await stage.activities().request_approval(ask)
    await stage.run_of(ask).terminate("its place is wanted")
    return ask


async def forged_run(
    stage: Stage, ask: ApprovalRequest, **state: Any
) -> WorkflowHandle[ApprovalWorkflow, ApprovalDecision]:
    """A run of the approval that somebody has started by hand, with these words about it."""
    true = start_of(standing(stage.events(ask)), notices=False)
    start = ApprovalStart(ask, replace(true.state, **state), notices=True)
    return await stage.client.start_workflow(ApprovalWorkflow.run, start, id=ask.approval_id, task_queue=WORKFLOW_QUEUE)


async def refused(run: WorkflowHandle[ApprovalWorkflow, ApprovalDecision], order: InstructionRef) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await run.execute_update(ApprovalWorkflow.decide, order, id=order.command_id)
    assert isinstance(caught.value.cause, ApplicationError)
    return str(caught.value.cause.type)


async def test_messages_that_hold_instructions_decide_nothing_in_a_run_that_somebody_started(working: Stage) -> None:
    rules = {"quorum": 2, "separation": True, "deciders": ("key_a", "key_b"), "escalate_to": ("key_a", "key_b")}
    working.risks = risks(**rules)
    ask = await asked(working)
    run = await forged_run(working, replace(ask, owner=SESSION))
    for by in ("key_a", "key_b"):
        said = instruction(ask, by)
        order = InstructionRef(said.command_id, working.content.put(Content(SESSION, said.text)))
        assert await refused(run, order) == "Forbidden"
    assert working.names(ask) == ["requested"]
    await run.terminate()


@pytest.mark.parametrize("owner", [OWNER, "anybody", "approval_instructions", ""])
async def test_no_text_is_an_instruction_whoever_it_belongs_to(working: Stage, owner: str) -> None:
    ask = await asked(working)
    said = instruction(ask, "key_a")
    order = InstructionRef(said.command_id, working.content.put(Content(owner, said.text)))
    for named in {owner, ask.owner}:
        stands = working.activities().carry_out(RoutedInstruction(ask.approval_id, named, order, ["approve"], now()))
        assert stands.refusal
        assert stands.refusal.name == "Forbidden"
    assert working.names(ask) == ["requested"]


async def test_an_instruction_counts_for_its_own_approval_only(working: Stage) -> None:
    ask, other = await asked(working), await asked(working)
    said = instruction(ask, "key_a")
    order = InstructionRef(said.command_id, working.instructions.put(said))
    stands = working.activities().carry_out(RoutedInstruction(other.approval_id, OWNER, order, ["approve"], now()))
    assert stands.refusal
    assert working.names(other) == ["requested"]
    assert (
        working.activities()
        .carry_out(RoutedInstruction(ask.approval_id, "no matter", order, ["approve"], now()))
        .refusal
        is None
    )
    assert working.names(ask) == ["requested", "decided"]


async def test_an_instruction_to_delegate_is_not_carried_out_as_a_decision(working: Stage) -> None:
    ask = await asked(working)
    said = instruction(ask, "key_a", verb="delegate", to="key_b")
    order = InstructionRef(said.command_id, working.instructions.put(said))
    stands = working.activities().carry_out(
        RoutedInstruction(ask.approval_id, OWNER, order, ["approve", "reject"], now())
    )
    assert stands.refusal
    assert working.names(ask) == ["requested"]


async def test_a_claim_is_recorded_as_a_claim_whatever_name_it_brings(working: Stage) -> None:
    ask = await asked(working)
    claim = SignalDecision(ask.approval_id, SESSION, "c", "approve", by="key_a", at=now(), comment="It is fine.")
    decided = working.activities().record_claim(claim).state.decided
    assert decided
    assert decided.by == "claimed:key_a"


async def test_what_is_said_belongs_to_whom_the_approval_belongs(working: Stage) -> None:
    ask, other = await asked(working), await asked(working)
    claim = SignalDecision(ask.approval_id, SESSION, "c", "reject", by="claimed:x", at=now(), comment="It is wrong.")
    working.activities().record_claim(claim)
    working.activities().withdraw(ApprovalWithdrawal(other.approval_id, SESSION, "Nobody waits.", now()))
    for text in ("It is wrong.", "Nobody waits."):
        text_hash = Content(OWNER, text).hash
        assert text_hash in working.content.get(OWNER, [text_hash])
        assert not working.content.get(SESSION, [text_hash])


async def test_a_signal_cannot_use_up_the_name_of_a_persons_command(working: Stage) -> None:
    working.risks = risks(quorum=2)
    ask = await asked(working)
    said = instruction(ask, "key_a")
    claim = SignalDecision(ask.approval_id, OWNER, said.command_id, "approve", by="claimed:x", at=now())
    assert working.activities().record_claim(claim).refusal
    order = InstructionRef(said.command_id, working.instructions.put(said))
    working.activities().carry_out(RoutedInstruction(ask.approval_id, OWNER, order, ["approve"], now()))
    assert working.names(ask) == ["requested", "signal_refused", "voted"]


async def test_a_run_that_is_told_a_wrong_time_ends_nothing(working: Stage) -> None:
    ask = await asked(working)
    past = now() - timedelta(days=1)
    run = await forged_run(working, ask, expires_at=past, remind_at=past, escalate_at=past)
    async with asyncio.timeout(10):
        while (await run.query(ApprovalWorkflow.state)).expires_at < now():  # noqa: ASYNC110  (over Temporal)
            await asyncio.sleep(0.05)
    assert working.names(ask) == ["requested"]
    await run.terminate()


@pytest.mark.parametrize("what", ["remind", "escalate", "expire"])
async def test_time_does_nothing_before_the_approvals_own_time(working: Stage, what: str) -> None:
    working.risks = risks(escalate_after_s=600)
    ask = await asked(working)
    working.activities().pass_time(DeadlineAction(ask.approval_id, what, 1, now() + timedelta(days=365)))
    assert working.names(ask) == ["requested"]


async def test_whoever_waits_does_not_believe_a_run_that_began_as_decided(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    await working.run_of(ask).terminate("its place is wanted")
    run = await forged_run(working, ask, decided=ApprovalDecision(ask.approval_id, "approved", "key_a"))
    assert (await asyncio.wait_for(run.result(), 20)).by == "key_a"
    await asyncio.sleep(0.5)
    assert (await waiter.describe()).close_time is None
    assert working.names(ask) == ["requested"]
    await waiter.terminate()


@pytest.mark.parametrize(
    "first",
    [
        {"risk": "low"},
        {"key_id": "key_other"},
        {"kind": "request"},
        {"content_hash": "0" * 64},
        {"payload_hash": "0" * 64},
        {"owner": SESSION},
        {"workflow_id": "somewhere-else"},
    ],
    ids=lambda first: next(iter(first)),
)
async def test_a_decision_about_another_question_is_not_taken_for_this_one(
    working: Stage, first: dict[str, str]
) -> None:
    ask = working.ask()
    await working.activities().request_approval(replace(ask, **first))
    await working.run_of(ask).signal("approve")
    await asyncio.wait_for(working.run_of(ask).result(), 20)
    with pytest.raises(Forbidden, match="another request"):
        await working.activities().request_approval(ask)
    handle = await working.client.start_workflow(
        Waiter.run, args=[ask, False], id=f"w-{ask.approval_id}", task_queue=WORKFLOW_QUEUE
    )
    with pytest.raises(Exception, match="failed"):
        await asyncio.wait_for(handle.result(), 20)


async def test_a_notice_of_what_has_not_happened_is_not_signed(working: Stage) -> None:
    ask = await asked(working)
    start = start_of(standing(working.events(ask)), notices=True)
    events = working.events(ask)
    decided = replace(start.state, decided=ApprovalDecision(ask.approval_id, "approved", "key_a"), status="approved")
    assert verified_notification(build_notification(ask, decided, "decided", now()), events) is None
    assert verified_notification(build_notification(ask, replace(decided, version=2), "decided", now()), events) is None
    assert (
        verified_notification(
            WebhookNotification("n", "approval.decided", now(), {"approval_id": ask.approval_id}), events
        )
        is None
    )
    assert (
        verified_notification(
            WebhookNotification("n", "approval.requested", now(), {"approval_id": "approval_none"}), []
        )
        is None
    )


async def test_a_notice_says_what_the_ledger_says_whatever_it_was_asked_to_say(working: Stage) -> None:
    ask = await asked(working)
    start = start_of(standing(working.events(ask)), notices=True)
    forged = build_notification(
        replace(ask, key_id="key_boss", risk="low", agent_id="other"), start.state, "requested", now()
    )
    true = verified_notification(replace(forged, notice_id="a name of their own"), working.events(ask))
    assert true == replace(build_notification(start.ask, start.state, "requested", now()), at=working.events(ask)[0].at)
    assert true.data["requested_by"] == "key_asker"
