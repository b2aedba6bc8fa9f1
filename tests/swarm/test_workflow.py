"""The `Swarm` workflow: on a stage with activities that do as they are told, on a real engine."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import get_args

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import CancelledError

from domain.ids import derived_id
from domain.swarm.task import Mode
from tests.swarm.stage import CHIEF, MEMBERS, Stage, asked, performing, swarm
from tests.system import new_namespace, until
from workflows.swarm.messages import SwarmCancel, SwarmEnd
from workflows.swarm.workflow import SwarmWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANCEL = SwarmCancel("key_1", "req_2")
LEADER = f"coordinator/{CHIEF}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(temporal_address: str) -> Client:
    """A client on a namespace of the module's own."""
    namespace = await new_namespace(temporal_address)
    return await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)


async def asked_to_speak(stage: Stage, count: int) -> None:
    await until(partial(asyncio.sleep, 0, stage.thoughts), lambda thoughts: len(thoughts) >= count)


@pytest.mark.parametrize("mode", get_args(Mode))
async def test_a_run_that_is_replayed_at_every_step_goes_the_same_way(client: Client, mode: Mode) -> None:
    async with performing(client, Stage(shuffled=True), cached=0) as stage:
        over = await (await swarm(client, stage, asked(mode, rounds=3))).result()
    assert over == SwarmEnd("completed", "result")
    [ending] = stage.endings
    assert (ending.status, ending.partial, ending.seen) == ("completed", False, 1)


async def test_a_turn_is_named_by_its_place_and_nothing_else(client: Client) -> None:
    wanted = asked("debate", project_id="7", budget_usd="1.50")
    async with performing(client, Stage()) as stage:
        await (await swarm(client, stage, wanted)).result()
    assert sorted(stage.seats()) == sorted([*MEMBERS, *MEMBERS, LEADER])
    second = next(t for t in stage.thoughts if t.turn.session_id == f"{wanted.task_id}/bea" and t.turn.turn == 2)
    assert second.turn.message_id == derived_id("swarm", wanted.task_id, "bea", 2)
    assert (second.workflow_id, second.project_id, second.budget_usd, second.first) == (
        wanted.task_id,
        "7",
        "1.50",
        1,
    )
    quoted = [part.hash for part in second.parts if part.hash and part.hash != "task"]
    assert quoted == ["ada-1", "cleo-1"]


async def test_what_was_finished_in_a_round_that_is_cut_short_stands(client: Client) -> None:
    async with performing(client, Stage(silent={"bea"})) as stage:
        handle = await swarm(client, stage, asked("collaborative"))
        await asked_to_speak(stage, 3)
        await handle.signal(SwarmWorkflow.cancel, CANCEL)
        over = await handle.result()
    assert over == SwarmEnd("cancelled", "result", partial=True, reason="it was cancelled by request")
    [ending] = stage.endings
    assert [part.hash for part in ending.result if part.hash] == ["ada-1", "cleo-1"]
    [given_up] = stage.given_up
    assert (given_up.turn.agent_id, given_up.code, given_up.message) == (
        "bea",
        "CANCELLED",
        "it was cancelled by request",
    )


async def test_the_deadline_cuts_it_short(client: Client) -> None:
    deadline = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    async with performing(client, Stage(silent={LEADER})) as stage:
        over = await (await swarm(client, stage, asked(deadline=deadline))).result()
    assert (over.status, over.partial, over.reason) == ("deadline_exceeded", True, "its deadline has passed")
    assert [given_up.turn.session_id.partition("/")[2] for given_up in stage.given_up] == [LEADER]


async def test_a_deadline_that_has_passed_before_it_began_leaves_nothing_open(client: Client) -> None:
    deadline = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
    async with performing(client, Stage(silent=set(MEMBERS))) as stage:
        over = await (await swarm(client, stage, asked(deadline=deadline))).result()
    assert over == SwarmEnd("deadline_exceeded", None, reason="its deadline has passed")
    assert len(stage.given_up) in {0, 3}
    assert len(stage.endings) == 1


async def test_one_that_is_cancelled_before_its_first_step_has_ended_all_the_same(client: Client) -> None:
    stage, wanted = Stage(silent=set(MEMBERS)), asked()
    handle = await swarm(client, stage, wanted)
    await handle.signal(SwarmWorkflow.cancel, CANCEL)
    async with performing(client, stage):
        assert (await handle.result()).status == "cancelled"
    assert [ending.status for ending in stage.endings] == ["cancelled"]


async def test_one_that_cannot_begin_yet_can_be_cancelled(client: Client) -> None:
    async with performing(client, Stage(unready=10**6)) as stage:
        handle = await swarm(client, stage, asked())
        await until(partial(asyncio.sleep, 0, stage), lambda it: it.unready < 10**6)
        await handle.signal(SwarmWorkflow.cancel, CANCEL)
        assert await handle.result() == SwarmEnd("cancelled", None, reason="it was cancelled by request")
    assert (stage.endings[0].seen, stage.thoughts) == (0, [])


async def test_a_cancelled_run_is_seen_as_cancelled_once_its_end_is_recorded(client: Client) -> None:
    async with performing(client, Stage(silent={"ada"})) as stage:
        handle = await swarm(client, stage, asked("sequential"))
        await asked_to_speak(stage, 1)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as caught:
            await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert [(ending.status, ending.reason) for ending in stage.endings] == [("cancelled", "its workflow was cancelled")]
    assert [given_up.code for given_up in stage.given_up] == ["CANCELLED"]
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED


async def test_a_turn_over_budget_ends_it_when_those_beside_it_have_ended(client: Client) -> None:
    async with performing(client, Stage(failing={"bea": "BUDGET_EXCEEDED"}, shuffled=True)) as stage:
        over = await (await swarm(client, stage, asked("debate"))).result()
    assert over == SwarmEnd("budget_exceeded", "result", partial=True, code="BUDGET_EXCEEDED", reason="told to")
    [ending] = stage.endings
    assert [part.hash for part in ending.result if part.hash] == ["ada-1", "cleo-1"]
    assert [given_up.code for given_up in stage.given_up] == ["BUDGET_EXCEEDED"]


async def test_the_code_of_the_coordinators_failure_is_the_swarms(client: Client) -> None:
    async with performing(client, Stage(failing={LEADER: "PAYLOAD_TOO_LARGE"})) as stage:
        over = await (await swarm(client, stage, asked())).result()
    assert (over.status, over.code, over.reason) == ("failed", "PAYLOAD_TOO_LARGE", f"the coordinator {CHIEF} failed")
    assert over.partial


async def test_what_can_never_succeed_ends_it_as_failed(client: Client) -> None:
    async with performing(client, Stage()) as stage:
        over = await (await swarm(client, stage, asked(require_approval=True))).result()
    assert over == SwarmEnd("failed", None, code="INTERNAL_ERROR", reason="it could not continue: a text was erased")
    assert [part.hash for part in stage.written[0].result] == [f"{LEADER}-1"]


async def test_a_coordinator_that_is_a_member_speaks_on_two_seats(client: Client) -> None:
    wanted = asked("hierarchical")
    async with performing(client, Stage()) as stage:
        over = await (await swarm(client, stage, asked("hierarchical", coordinator=wanted.members[0]))).result()
    assert over.status == "completed"
    assert sorted(stage.seats()) == ["ada", "bea", "cleo", "coordinator/ada", "coordinator/ada"]


async def test_the_largest_swarm_stays_far_below_what_a_history_may_hold(client: Client) -> None:
    wanted = asked("debate", rounds=5)
    members = [type(wanted.members[0])(f"agent_{number}", 1) for number in range(20)]
    async with performing(client, Stage()) as stage:
        handle = await swarm(client, stage, asked("debate", rounds=5, members=members))
        await handle.result()
    assert len(stage.thoughts) == 101
    history = await handle.fetch_history()
    assert len(history.events) < 1000
    assert sum(event.ByteSize() for event in history.events) < 2 * 2**20
