"""What can be read can be decided, and what is decided without a worker is decided once."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from activities.approvals.activities import ApprovalActivities
from activities.approvals.messages import ApprovalRequest, ApprovalStart
from runtime.settings import Settings
from tests.approvals.desk import APPROVALS, desk_of
from tests.approvals.stage import Stage
from tests.system import running, until
from workflows.approvals.start import start_approval
from workflows.approvals.workflow import ApprovalWorkflow


def asking(stage: Stage, start: Any) -> ApprovalActivities:
    return stage.activities(start)


async def decided(stage: Stage, ask: ApprovalRequest) -> str:
    return (await asyncio.wait_for(stage.run_of(ask).result(), 20)).outcome


async def test_an_approval_cannot_be_read_before_its_run_exists(working: Stage) -> None:
    ask, seen = working.ask(), []

    async def start(begun: ApprovalStart) -> None:
        seen.append(working.names(ask))
        await start_approval(working.client, begun)

    await asking(working, start).request_approval(ask)
    assert seen == [[]]
    assert working.names(ask) == ["requested"]
    assert (await working.run_of(ask).describe()).status is WorkflowExecutionStatus.RUNNING


async def test_an_approval_whose_run_cannot_be_started_cannot_be_read(working: Stage) -> None:
    ask = working.ask()

    async def fail(_: ApprovalStart) -> None:
        raise RuntimeError("Temporal is away")

    with pytest.raises(RuntimeError, match="away"):
        await asking(working, fail).request_approval(ask)
    assert working.names(ask) == []
    await working.activities().request_approval(ask)
    assert working.names(ask) == ["requested"]


async def test_what_is_said_to_a_run_before_its_approval_is_recorded_waits_for_that(working: Stage) -> None:
    ask = working.ask()

    async def start(begun: ApprovalStart) -> None:
        await start_approval(working.client, begun)
        await working.run_of(ask).signal(ApprovalWorkflow.approve, {"by": "somebody"})
        await asyncio.sleep(0.5)  # its worker has heard it by then
        assert working.names(ask) == []

    await asking(working, start).request_approval(ask)
    assert await decided(working, ask) == "approved"
    assert working.names(ask) == ["requested", "decided"]


async def test_an_asker_that_dies_between_the_run_and_the_record_asks_again_for_the_same(working: Stage) -> None:
    ask = working.ask()

    async def dies(begun: ApprovalStart) -> None:
        await start_approval(working.client, begun)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await asking(working, dies).request_approval(ask)
    first = (await working.run_of(ask).describe()).run_id
    await working.activities().request_approval(ask)
    assert (await working.run_of(ask).describe()).run_id == first
    await working.run_of(ask).signal(ApprovalWorkflow.reject, "no")
    assert await decided(working, ask) == "rejected"


async def test_a_run_withdrawn_before_its_approval_is_recorded_is_withdrawn_then(working: Stage) -> None:
    ask = working.ask()

    async def start(begun: ApprovalStart) -> None:
        await start_approval(working.client, begun)
        await working.run_of(ask).signal(ApprovalWorkflow.withdraw, "nobody waits")

    await asking(working, start).request_approval(ask)
    assert await decided(working, ask) == "withdrawn"


async def test_a_decision_that_comes_both_ways_counts_once(working: Stage) -> None:
    ask = working.ask()
    await working.waiting(ask)
    order = working.order(ask, "approve")
    run = working.run_of(ask)
    await run.signal(ApprovalWorkflow.carry, args=[order, "approve"])
    await run.signal(ApprovalWorkflow.carry, args=[order, "approve"])
    assert await decided(working, ask) == "approved"
    assert working.names(ask) == ["requested", "decided"]


@pytest.mark.parametrize("spoilt", ["no hash", ""])
async def test_an_order_that_cannot_be_read_does_not_harm_the_run(working: Stage, spoilt: str) -> None:
    ask = working.ask()
    await working.waiting(ask)
    order = working.order(ask, "reject")
    run = working.run_of(ask)
    await run.signal(ApprovalWorkflow.carry, args=[replace(order, instruction_hash=spoilt), "approve"])
    await run.signal(ApprovalWorkflow.carry, args=[order, "approve"])  # said for something else
    await run.signal(ApprovalWorkflow.carry, args=[order, "reject"])
    assert await decided(working, ask) == "rejected"


async def test_decisions_that_no_worker_takes_are_accepted_and_made_when_there_is_one(
    system_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.approvals.update_client.ANSWER_TIMEOUT_S", 1.0)
    async with running(system_settings) as system, desk_of(system) as desk:
        asked = [(await desk.asked())[0] for _ in range(4)]
    async with running(system_settings, working=False) as system:
        post = partial(system.http.post, headers={"Idempotency-Key": "one"})
        approve, reject, escalate, batched = (f"{APPROVALS}/{ask.approval_id}" for ask in asked)
        answers = await asyncio.gather(
            post(f"{approve}/approve", json={}),
            post(f"{reject}/reject", json={"reason": "no"}),
            post(f"{escalate}/escalate", json={}),
            post(f"{APPROVALS}/batch", json={"decisions": [{"id": asked[3].approval_id, "decision": "approve"}]}),
        )
        assert [answer.status_code for answer in answers] == [202, 202, 202, 200]
        assert [answer.json()["status"] for answer in answers[:3]] == ["pending"] * 3
        assert answers[3].json()["results"][0]["status"] == 202
        assert answers[0].headers["location"] == approve
    async with running(system_settings) as system:
        wanted = {approve: "approved", reject: "rejected", escalate: "escalated", batched: "approved"}
        for location, status in wanted.items():
            await until(partial(system.http.get, location), lambda got, s=status: got.json()["status"] == s, seconds=20)
        history = (await system.http.get(approve)).json()["history"]
        assert [step["event"] for step in history] == ["requested", "decided"]


async def test_a_run_cancelled_before_its_approval_is_recorded_withdraws_it_then(
    working: Stage,
) -> None:
    ask = working.ask()

    async def dies(begun: ApprovalStart) -> None:
        await start_approval(working.client, begun)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await asking(working, dies).request_approval(ask)
    await working.run_of(ask).cancel()
    await working.activities().request_approval(ask)
    assert await decided(working, ask) == "withdrawn"


async def test_an_approval_whose_run_is_cancelled_while_it_is_recorded_is_withdrawn(working: Stage) -> None:
    ask = working.ask()

    async def start(begun: ApprovalStart) -> None:
        await start_approval(working.client, begun)
        await working.run_of(ask).cancel()

    await asking(working, start).request_approval(ask)
    assert await decided(working, ask) == "withdrawn"


async def test_what_is_not_recorded_yet_is_asked_for_again(working: Stage) -> None:
    with pytest.raises(ApplicationError, match="not recorded yet") as caught:
        await asyncio.to_thread(working.activities().await_request, "approval_none")
    assert not caught.value.non_retryable
