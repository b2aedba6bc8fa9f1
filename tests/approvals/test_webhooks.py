"""What somebody outside is told of approvals, over real HTTP, with signatures that are checked."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from adapters.web.webhooks import HttpWebhooks
from domain.approvals.ports import DeliveryFailed
from runtime.settings import Settings
from tests.approvals.conftest import SECRET, Receiver
from tests.approvals.desk import desk_of
from tests.approvals.stage import TEXT, Stage, risks
from tests.system import running, until
from workflows.approvals.workflow import ApprovalWorkflow


def telling(stage: Stage, webhooks: HttpWebhooks) -> AbstractAsyncContextManager[None]:
    """The stage at work, with somebody to tell."""
    stage.webhooks = webhooks
    return stage.working()


async def test_the_receiver_is_told_once_it_answers(stage: Stage, webhooks: HttpWebhooks, receiver: Receiver) -> None:
    receiver.answers = [500, 503]
    async with telling(stage, webhooks):
        ask = stage.ask()
        await stage.waiting(ask)
        await until(lambda: asyncio.sleep(0), lambda _: len(receiver.taken) == 1, seconds=20)
        assert [status for _, status in receiver.attempts] == [500, 503, 204]
        assert len({notice_id for notice_id, _ in receiver.attempts}) == 1
        [notice] = receiver.taken
        assert notice["type"] == "approval.requested"
        assert notice["timestamp"].endswith("Z")
        data = notice["data"]
        assert (data["approval_id"], data["status"], data["risk_level"]) == (ask.approval_id, "pending", "medium")
        assert TEXT not in str(notice)
        await stage.run_of(ask).signal("approve", "a secret comment")
        await asyncio.wait_for(stage.run_of(ask).result(), 20)
        decided = receiver.taken[-1]
        assert decided["type"] == "approval.decided"
        assert (decided["data"]["status"], decided["data"]["decided_by"]) == ("approved", "claimed:temporal")
        assert "secret" not in str(receiver.taken)


async def test_a_receiver_that_is_down_delays_nobody(stage: Stage) -> None:
    nobody = HttpWebhooks("http://127.0.0.1:9/hook", SECRET, lambda: datetime.now(UTC))
    async with telling(stage, nobody):
        ask = stage.ask()
        waiter = await stage.waiting(ask)
        await stage.run_of(ask).signal("approve")
        assert (await asyncio.wait_for(waiter.result(), 10)).decided.outcome == "approved"
        run = await stage.run_of(ask).describe()
        assert run.close_time is None
        await stage.run_of(ask).terminate()


async def test_every_step_is_told(stage: Stage, webhooks: HttpWebhooks, receiver: Receiver) -> None:
    stage.risks = risks(
        quorum=2,
        deciders=("key_a", "key_b"),
        escalate_to=("key_c", "key_d"),
        remind_after_s=0.5,
        expires_after_s=600,
    )
    async with telling(stage, webhooks):
        ask = stage.ask()
        await stage.waiting(ask)
        run = stage.run_of(ask)
        await until(lambda: asyncio.to_thread(stage.names, ask), lambda names: "reminded" in names)
        delegation = stage.order(ask, "delegate", "key_a", to="key_e")
        await run.execute_update(ApprovalWorkflow.delegate, delegation, id="delegate")
        await run.execute_update(ApprovalWorkflow.escalate, stage.order(ask, "escalate", "key_b"), id="escalate")
        for by in ("key_c", "key_d"):
            await run.execute_update(ApprovalWorkflow.decide, stage.order(ask, "approve", by), id=by)
        await asyncio.wait_for(run.result(), 20)
    told = ["requested", "reminded", "delegated", "escalated", "voted", "decided"]
    assert {f"approval.{what}" for what in told} == set(receiver.types)
    assert len({notice_id for notice_id, _ in receiver.attempts}) == len(receiver.attempts)


async def test_a_receiver_that_wants_nothing_more_is_left_alone(
    stage: Stage, webhooks: HttpWebhooks, receiver: Receiver
) -> None:
    receiver.answers = [410]
    async with telling(stage, webhooks):
        ask = stage.ask()
        await stage.waiting(ask)
        await until(lambda: asyncio.sleep(0), lambda _: len(receiver.attempts) == 1)
        await asyncio.sleep(0.3)
        await stage.run_of(ask).signal("reject")
        await asyncio.wait_for(stage.run_of(ask).result(), 20)
    assert [status for _, status in receiver.attempts] == [410]


async def test_a_redirect_is_not_followed(webhooks: HttpWebhooks, receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [302], {"location": receiver.url}
    with pytest.raises(DeliveryFailed, match="302"):
        await webhooks.deliver("n1", "{}")
    assert len(receiver.attempts) == 1


async def test_the_receivers_word_for_when_to_come_back_is_kept(webhooks: HttpWebhooks, receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [429], {"retry-after": "7"}
    with pytest.raises(DeliveryFailed) as failed:
        await webhooks.deliver("n1", "{}")
    assert failed.value.retry_after == 7


async def test_the_whole_system_tells_whoever_the_settings_name(system_settings: Settings, receiver: Receiver) -> None:
    told = {"approval_webhook_url": receiver.url, "approval_webhook_secret": SecretStr(SECRET)}
    async with running(system_settings.model_copy(update=told)) as system, desk_of(system) as desk:
        ask, _ = await desk.asked()
        assert (await desk.post(ask, "approve", {"comment": "yes"})).status_code == 200
        await asyncio.wait_for(system.temporal.get_workflow_handle(ask.approval_id).result(), 20)
    assert sorted(receiver.types) == ["approval.decided", "approval.requested"]
