"""The run of an approval, on a real engine and a real ledger."""

import asyncio
import subprocess
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError

from activities.approvals.messages import ApprovalRequest, InstructionRef
from domain.approvals.aggregate import Approval as Standing
from domain.approvals.commands import load
from domain.approvals.events import ApprovalSignalRefused
from runtime.embedded.programs import temporal_program
from tests.approvals.stage import OWNER, Stage, risks
from tests.approvals.waiter import Waiter
from tests.system import until
from workflows.approvals.messages import MAX_TEXT
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.task_queues import WORKFLOW_QUEUE


def standing(stage: Stage, ask: ApprovalRequest) -> Standing:
    return load(stage.ledger, ask.approval_id)


async def decide(stage: Stage, ask: ApprovalRequest, verb: str = "approve", by: str = "key_a", **more: Any) -> str:
    """The status after the decision."""
    order = stage.order(ask, verb, by, **more)
    state = await stage.run_of(ask).execute_update(ApprovalWorkflow.decide, order, id=order.command_id)
    return state.status


async def refusal(
    stage: Stage, ask: ApprovalRequest, order: InstructionRef, update: Any = ApprovalWorkflow.decide
) -> ApplicationError:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await stage.run_of(ask).execute_update(update, order, id=order.command_id)
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


async def settled(stage: Stage, ask: ApprovalRequest) -> None:
    """Return when the run has ended as it should."""
    await asyncio.wait_for(stage.run_of(ask).result(), 20)


async def test_the_waiter_hears_the_decision_once(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    assert await decide(working, ask) == "approved"
    heard = await waiter.result()
    assert (heard.decided.outcome, heard.decided.by, heard.told) == ("approved", "key_a", 1)
    await settled(working, ask)
    assert working.names(ask) == ["requested", "decided"]


async def test_asking_again_is_the_same_approval(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    before = (await working.run_of(ask).describe()).run_id
    again = await working.activities().request_approval(ask)
    assert again.decided is None
    assert (await working.run_of(ask).describe()).run_id == before
    await decide(working, ask, "reject")
    await waiter.result()
    await settled(working, ask)
    decided = (await working.activities().request_approval(ask)).decided
    assert decided
    assert decided.outcome == "rejected"
    assert (await working.run_of(ask).describe()).run_id == before
    assert working.names(ask) == ["requested", "decided"]


async def test_an_unknown_risk_cannot_be_asked_about(working: Stage) -> None:
    ask = working.ask(risk="extreme")
    handle = await working.client.start_workflow(
        Waiter.run, args=[ask, False], id=ask.workflow_id, task_queue=WORKFLOW_QUEUE
    )
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 20)


async def test_what_is_no_order_is_refused_before_it_is_in_the_history(working: Stage) -> None:
    ask = working.ask()
    await working.waiting(ask)
    for wrong in (InstructionRef("c1", "no hash"), InstructionRef("c" * 129, "a" * 64), InstructionRef("c3", "A" * 64)):
        assert (await refusal(working, ask, wrong)).type == "Invalid"
    history = await working.run_of(ask).fetch_history()
    kinds = {EventType.Name(event.event_type) for event in history.events}
    assert not [kind for kind in kinds if "UPDATE" in kind]


async def test_nobody_who_only_reaches_temporal_speaks_in_anothers_name(working: Stage) -> None:
    ask, other = working.ask(), working.ask()
    await working.waiting(ask)
    await working.waiting(other)
    forged = InstructionRef("c1", "a" * 64)
    assert (await refusal(working, ask, forged)).type == "Forbidden"
    elsewhere = working.order(other, "approve")
    assert (await refusal(working, ask, elsewhere)).type == "Forbidden"
    renamed = InstructionRef("another-command", working.order(ask, "approve").instruction_hash)
    assert (await refusal(working, ask, renamed)).type == "Forbidden"
    delegation = working.order(ask, "delegate", to="key_b")
    assert (await refusal(working, ask, delegation, ApprovalWorkflow.decide)).type == "Forbidden"
    assert working.names(ask) == ["requested"]


async def test_who_comes_second_is_told_what_stands(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    orders = [working.order(ask, "approve", f"key_{number}") for number in range(20)]
    handle = working.run_of(ask)

    async def one(order: InstructionRef) -> str:
        try:
            return (await handle.execute_update(ApprovalWorkflow.decide, order, id=order.command_id)).status
        except WorkflowUpdateFailedError as error:
            told: Any = error.cause
            return f"{told.type}: {told.details[0]['status']}"

    outcomes = await asyncio.gather(*(one(order) for order in orders))
    assert sorted(outcomes) == ["AlreadyDecided: approved"] * 19 + ["approved"]
    assert (await waiter.result()).told == 1
    assert working.names(ask) == ["requested", "decided"]


async def test_a_quorum_of_keys(stage: Stage) -> None:
    stage.risks = risks(quorum=2, deciders=("key_a", "key_b", "key_c"), escalate_to=("key_a", "key_b"))
    async with stage.working():
        ask = stage.ask()
        waiter = await stage.waiting(ask)
        assert await decide(stage, ask, by="key_a") == "pending"
        assert (await refusal(stage, ask, stage.order(ask, "approve", "key_a"))).type == "Conflict"
        assert (await refusal(stage, ask, stage.order(ask, "approve", "key_x"))).type == "Forbidden"
        assert await decide(stage, ask, by="key_c") == "approved"
        assert (await waiter.result()).decided.by == "key_c"
        assert stage.names(ask) == ["requested", "voted", "voted", "decided"]


async def test_delegation_and_escalation_change_who_decides(stage: Stage) -> None:
    stage.risks = risks(escalate_to=("key_boss",))
    async with stage.working():
        ask = stage.ask()
        waiter, run = await stage.waiting(ask), stage.run_of(ask)
        delegation = stage.order(ask, "delegate", to="key_b")
        assert (await run.execute_update(ApprovalWorkflow.delegate, delegation, id="d")).deciders == ["key_b"]
        assert (await refusal(stage, ask, stage.order(ask, "approve", "key_a"))).type == "Forbidden"
        escalation = stage.order(ask, "escalate", "key_b")
        state = await run.execute_update(ApprovalWorkflow.escalate, escalation, id="e")
        assert (state.status, state.deciders) == ("escalated", ["key_boss"])
        assert await decide(stage, ask, "reject", "key_boss") == "rejected"
        assert (await waiter.result()).decided.outcome == "rejected"


def _command(stage: Stage, *words: str) -> list[str]:
    """What somebody types who has nothing but the command line."""
    address = stage.client.service_client.config.target_host
    return [str(temporal_program()), "workflow", *words, "--address", address, "--namespace", stage.client.namespace]


def temporal(stage: Stage, *words: str) -> None:
    subprocess.run(_command(stage, *words), check=True, capture_output=True, timeout=30)


@pytest.mark.parametrize(
    ("words", "by", "comment"),
    [
        (["--name", "approve"], "claimed:temporal", None),
        (["--name", "approve", "--input", '"looks right"'], "claimed:temporal", "looks right"),
        (["--name", "reject", "--input", '{"comment": "no", "by": "maria"}'], "claimed:maria", "no"),
        (["--name", "approve", "--input", "null"], "claimed:temporal", None),
    ],
)
async def test_a_decision_by_the_command_line(working: Stage, words: list[str], by: str, comment: str | None) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    await asyncio.to_thread(temporal, working, "signal", "--workflow-id", ask.approval_id, *words)
    decided = (await asyncio.wait_for(waiter.result(), 20)).decided
    assert (decided.outcome, decided.by) == ("rejected" if "reject" in words else "approved", by)
    said = decided.comment_hash and working.content.get(OWNER, [decided.comment_hash])[decided.comment_hash]
    assert said == comment


async def test_a_signal_may_edit_the_text(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    await working.run_of(ask).signal("approve", {"edited_content": "Better so.", "by": "maria"})
    decided = (await waiter.result()).decided
    assert decided.content_hash
    assert working.content.get(OWNER, [decided.content_hash]) == {decided.content_hash: "Better so."}


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ({"separation": True}, "the requester"),
        ({"quorum": 2}, "2 have to agree"),
        ({"deciders": ("key_a",)}, "only certain keys may decide"),
    ],
)
async def test_a_signal_proves_nothing(stage: Stage, rules: dict[str, Any], reason: str) -> None:
    stage.risks = risks(**rules)
    async with stage.working():
        ask = stage.ask()
        await stage.waiting(ask)
        await stage.run_of(ask).signal("approve", {"by": "key_a"})
        await until(lambda: asyncio.to_thread(stage.names, ask), lambda names: len(names) == 2)
        refused = stage.events(ask)[1]
        assert isinstance(refused, ApprovalSignalRefused)
        assert refused.by == "claimed:key_a"
        assert reason in refused.reason
        assert standing(stage, ask).standing is None


@pytest.mark.parametrize(
    "argument", [7, ["yes"], {"commment": "a typo"}, {"by": 7}, "long" * MAX_TEXT, {"comment": "a\0b"}]
)
async def test_a_signal_that_cannot_be_read_decides_nothing(working: Stage, argument: Any) -> None:
    ask = working.ask()
    await working.waiting(ask)
    await working.run_of(ask).signal("reject", argument)
    await until(lambda: asyncio.to_thread(working.names, ask), lambda names: len(names) == 2)
    assert working.names(ask) == ["requested", "signal_refused"]
    assert await decide(working, ask) == "approved"


async def test_a_signal_after_the_decision_changes_nothing(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    run = working.run_of(ask)
    await asyncio.gather(run.signal("approve"), run.signal("reject"))
    outcome = (await waiter.result()).decided.outcome
    await settled(working, ask)
    assert standing(working, ask).status == outcome
    assert working.names(ask) == ["requested", "decided", "signal_refused"]


async def test_a_run_that_is_cancelled_takes_its_approvals_back(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    await waiter.cancel()
    with pytest.raises(WorkflowFailureError) as failed:
        await asyncio.wait_for(waiter.result(), 20)
    assert isinstance(failed.value.cause, CancelledError)
    await settled(working, ask)
    assert working.names(ask) == ["requested", "withdrawn"]
    reason_hash = standing(working, ask).standing
    assert reason_hash
    assert reason_hash.comment_hash
    assert list(working.content.get(OWNER, [reason_hash.comment_hash]).values()) == ["the run was cancelled"]


async def test_a_run_that_is_cancelled_while_it_asks_leaves_nothing_open(working: Stage) -> None:
    for _ in range(5):
        ask = working.ask()
        handle = await working.client.start_workflow(
            Waiter.run, args=[ask, False], id=ask.workflow_id, task_queue=WORKFLOW_QUEUE
        )
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), 20)
        if working.names(ask):
            await settled(working, ask)
            assert working.names(ask) == ["requested", "withdrawn"]


async def test_an_approval_that_is_cancelled_is_withdrawn(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    await working.run_of(ask).cancel()
    assert (await asyncio.wait_for(waiter.result(), 20)).decided.outcome == "withdrawn"
    run = working.run_of(ask)
    await settled(working, ask)
    assert (await run.describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_a_waiter_that_is_gone_does_not_keep_the_approval(working: Stage) -> None:
    ask = working.ask()
    waiter = await working.waiting(ask)
    await waiter.terminate()
    assert await decide(working, ask) == "approved"
    await settled(working, ask)


async def test_a_worker_that_is_replaced_in_between_loses_nothing(stage: Stage) -> None:
    ask = stage.ask()
    async with stage.working():
        waiter = await stage.waiting(ask)
    await stage.run_of(ask).signal("approve", "while nobody works")
    async with stage.working():
        heard = await asyncio.wait_for(waiter.result(), 20)
        await settled(stage, ask)
    assert (heard.decided.outcome, heard.told) == ("approved", 1)
    assert stage.names(ask) == ["requested", "decided"]


async def test_the_run_shows_what_it_waits_for(working: Stage) -> None:
    ask = working.ask()
    await working.waiting(ask)
    run = working.run_of(ask)
    shown = await until(lambda: run.query("__temporal_workflow_metadata"), lambda it: bool(it.current_details))
    details = shown.current_details
    for words in ("Answer of ali", "medium risk", "pending", "send the signal `approve`"):
        assert words in details
    assert "somebody has to look at" not in details
    assert await (await run.describe()).static_summary() == "medium risk: Answer of ali"


@pytest.mark.parametrize(
    "more",
    [
        ["--input", '"one"', "--input", '"two"'],
        ["--input", "raw", "--input-meta", "encoding=binary/plain"],
        ["--input", "not json", "--input-meta", "encoding=json/plain"],
        ["--input", "x", "--input-meta", "encoding=what/ever"],
    ],
)
async def test_a_broken_signal_breaks_nothing(working: Stage, more: list[str]) -> None:
    ask = working.ask()
    await working.waiting(ask)
    words = ["signal", "--workflow-id", ask.approval_id, "--name", "reject", *more]
    await asyncio.to_thread(
        lambda: subprocess.run(_command(working, *words), check=False, capture_output=True, timeout=30)
    )
    assert await decide(working, ask, "approve") == "approved"


@pytest.mark.parametrize("odd", ["a\x00b", "\x00"])
async def test_a_signal_with_characters_that_no_database_holds_harms_nothing(working: Stage, odd: str) -> None:
    ask = working.ask()
    await working.waiting(ask)
    run = working.run_of(ask)
    await run.signal(ApprovalWorkflow.approve, {"comment": odd, "by": odd, "edited_content": odd})
    await run.signal(ApprovalWorkflow.reject, {"comment": "no", "by": odd})
    await run.signal(ApprovalWorkflow.reject, "no")
    assert (await asyncio.wait_for(run.result(), 30)).outcome == "rejected"
    assert working.names(ask) == ["requested", "signal_refused", "signal_refused", "decided"]


ORDER = {"command_id": "c", "instruction_hash": "0" * 64}


@pytest.mark.parametrize(
    ("signal", "arguments"),
    [
        ("carry", []),
        ("carry", [ORDER]),
        ("carry", [None, None]),
        ("carry", [ORDER, None]),
        ("carry", [ORDER, "approve", "and more"]),
        ("carry", [ORDER, "dance"]),
        ("approve", [{"a\x00b": 1}]),
        ("withdraw", [[], None]),
    ],
)
async def test_a_signal_of_any_shape_leaves_an_approval_to_be_decided(
    working: Stage, signal: str, arguments: list[Any]
) -> None:
    ask = working.ask()
    await working.waiting(ask)
    await working.run_of(ask).signal(signal, args=arguments)
    if signal == "withdraw":
        assert (await asyncio.wait_for(working.run_of(ask).result(), 30)).outcome == "withdrawn"
    else:
        assert await decide(working, ask, "approve") == "approved"
