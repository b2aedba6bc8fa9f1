"""A Temporal that stands still in the middle of a request: 503 means that nothing runs later, 202 that it runs once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from domain.errors import Unavailable
from domain.events import Cause
from domain.revocations import RevocableWork, Revocations
from runtime.settings import Settings
from tests.api.frozen import OwnTemporal, begun, impatient, own_temporal, words_lost
from tests.graphflow.test_api_executions import WORKFLOWS, made, over, told
from tests.runtime.upping import until as wait_until
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System, new_namespace, running, settings_of, until
from workflows.chat.client import ChatClient

NAME = "A look at a frozen lake"
LOOK = {"id": "look", "type": "agent", "agent": AGENT, "prompt": "Look."}
SWARM = {"task": "Look.", "agents": ["amy_cfo", "oliver_pm"], "coordination_mode": "parallel"}

Start = Callable[[System, dict[str, str]], Coroutine[Any, Any, httpx.Response]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def temporal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnTemporal]:
    with own_temporal(tmp_path_factory.mktemp("frozen")) as server:
        yield server


@pytest.fixture
async def settings(temporal: OwnTemporal, database_url: str, redis_url: str, scripted_model: ScriptedModel) -> Settings:
    return settings_of(
        database_url=database_url,
        temporal_address=temporal.address,
        redis_url=redis_url,
        model_url=scripted_model.url,
        namespace=await new_namespace(temporal.address),
    )


async def chat(system: System, headers: dict[str, str]) -> httpx.Response:
    return await system.say("Hello.", headers=headers, timeout_s=1)


async def chat_in_a_session(system: System, headers: dict[str, str]) -> httpx.Response:
    return await system.say("Hello.", f"s-{uuid4().hex}", headers=headers, wait=False)


async def swarm(system: System, headers: dict[str, str]) -> httpx.Response:
    return await system.http.post("/api/v1/swarm/coordinate", json=SWARM, headers=headers)


async def execution(system: System, headers: dict[str, str]) -> httpx.Response:
    known = (await system.http.get(WORKFLOWS, params={"limit": 100})).json()["workflows"]
    workflow = next(workflow for workflow in known if workflow["name"] == NAME)
    path = f"{WORKFLOWS}/{workflow['id']}/execute"
    return await system.http.post(path, json={"input": {"request": "the lake"}}, headers=headers)


STARTS = (chat, chat_in_a_session, swarm, execution)
CALLS = {chat: 1, chat_in_a_session: 1, swarm: 3, execution: 1}


async def quiet(system: System) -> None:
    """Return when nothing that Temporal has is under way: what was sent earlier has arrived."""
    last = await system.say("Is anybody there?", "the-last")
    assert last.status_code == 200, last.text

    async def working() -> list[str]:
        runs = system.temporal.list_workflows("ExecutionStatus = 'Running' AND WorkflowType IN ('Swarm', 'GraphRun')")
        return [run.id async for run in runs]

    await until(working, lambda ids: not ids, seconds=30)
    await asyncio.sleep(0.5)


@pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "without a key"])
async def test_what_a_frozen_temporal_did_not_confirm_is_refused_and_never_runs(
    settings: Settings, temporal: OwnTemporal, scripted_model: ScriptedModel, *, keyed: bool
) -> None:
    async with running(settings) as system:
        await made(system, [LOOK], [], name=NAME)
        await quiet(system)
        before, bill = begun(system), len(scripted_model.bill())
        keys = [({"Idempotency-Key": f"key-{number}"} if keyed else {}) for number in range(len(STARTS))]
        asked = list(zip(STARTS, keys, strict=True))
        with temporal.frozen(), impatient():
            answers = await asyncio.gather(*(start(system, headers) for start, headers in asked))
        assert [answer.status_code for answer in answers] == [503] * len(STARTS), [it.text for it in answers]
        await quiet(system)
        assert begun(system) - before == {"chat.turn_started": 1, "costs.call_reserved": 1}  # that of `quiet`
        assert len(scripted_model.bill()) == bill + 1
        if not keyed:
            return
        for start, headers in asked:
            again = await start(system, headers)
            assert again.status_code in {200, 202}, again.text
            await start(system, headers)
        await quiet(system)
        assert len(scripted_model.bill()) == bill + 1 + sum(CALLS.values()) + 1
        assert (begun(system) - before)["swarm.requested"] == 1
        assert (begun(system) - before)["graphflow.run_started"] == 1


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.__name__)
@pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "without a key"])
async def test_what_arrived_without_a_word_is_refused_and_dropped_by_the_worker_that_finds_it(
    system_settings: Settings, scripted_model: ScriptedModel, start: Start, *, keyed: bool
) -> None:
    headers = {"Idempotency-Key": "one"} if keyed else {}
    async with running(system_settings, working=False) as system:
        await made(system, [LOOK], [], name=NAME)
        with words_lost():
            refused = await start(system, headers)
            assert refused.status_code == 503, refused.text
        assert await arrived(system) == 1
    async with running(system_settings) as system:
        await quiet(system)
        assert begun(system) == {"chat.turn_started": 1, "costs.call_reserved": 1}  # that of `quiet`
        if keyed:
            assert (await start(system, headers)).status_code in {200, 202}
            await quiet(system)
            assert len(scripted_model.bill()) == 2 + CALLS[start]


async def arrived(system: System) -> int:
    """How many runs Temporal has that somebody wanted."""
    await asyncio.sleep(1)  # its list of runs is behind
    runs = system.temporal.list_workflows("ExecutionStatus = 'Running'")
    return len([run.id async for run in runs if run.id.startswith(("chat-", "task_", "exec_"))])


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.__name__)
async def test_what_has_begun_by_the_time_its_word_is_lost_is_accepted_and_runs_once(
    system: System, scripted_model: ScriptedModel, monkeypatch: Any, start: Start
) -> None:
    await made(system, [LOOK], [], name=NAME)
    revoke = Revocations.revoke

    def late(revocations: Revocations, work: RevocableWork, cause: Cause) -> bool:
        wait_until(lambda: bool(begun(system)), 20)
        return revoke(revocations, work, cause)

    monkeypatch.setattr(Revocations, "revoke", late)
    monkeypatch.setattr(ChatClient, "_update_or_start", no_answer)
    monkeypatch.setattr(ChatClient, "_is_accepted", no_answer)
    with words_lost():
        answer = await start(system, {"Idempotency-Key": "one"})
    assert answer.status_code == 202, answer.text
    monkeypatch.undo()
    await quiet(system)
    assert len(scripted_model.bill()) == CALLS[start] + 1


async def no_answer(*_: object, **__: object) -> None:
    raise Unavailable("Temporal's word was lost")


async def test_a_decision_that_was_refused_is_not_carried_out_when_it_arrives(system_settings: Settings) -> None:
    headers = {"Idempotency-Key": "one"}
    async with running(system_settings) as system:
        approval = (await system.say("Go?", require_approval=True)).json()["approval_id"]
    path = f"/api/v1/approvals/{approval}"
    async with running(system_settings, working=False) as system:
        with words_lost():
            refused = await system.http.post(f"{path}/approve", json={}, headers=headers)
        assert refused.status_code == 503, refused.text
    async with running(system_settings) as system:
        await quiet(system)
        assert (await system.http.get(path)).json()["status"] == "pending"
        assert (await system.http.post(f"{path}/approve", json={}, headers=headers)).status_code == 200
        assert begun(system)["approval.decided"] == 1


async def test_a_run_that_was_refused_to_be_gone_on_with_stays_over_and_can_be_gone_on_with_later(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "Look", "status": 401, "times": 1})
    async with running(system_settings) as system:
        await made(system, [LOOK], [], name=NAME)
        run = (await execution(system, {})).json()
        assert (await over(system, run))["status"] == "failed"
    headers = {"X-Request-ID": "the-same"}
    async with running(system_settings, working=False) as system:
        with words_lost():
            refused = await told(system, run, "retry", headers=headers)
        assert refused.status_code == 503, refused.text
    async with running(system_settings) as system:
        await quiet(system)
        assert begun(system)["graphflow.run_reopened"] == 0
        assert (await over(system, run))["status"] == "failed"
        again = await told(system, run, "retry", headers=headers)
        assert again.status_code == 202, again.text
        await until(lambda: over(system, run), lambda it: it["status"] == "completed", seconds=20)
        assert begun(system)["graphflow.run_reopened"] == 1


async def test_turns_have_no_gap_where_a_message_was_dropped(system_settings: Settings) -> None:
    async with running(system_settings, working=False) as system:
        first = await system.say("One.", "s-1", wait=False)
        with words_lost():
            assert (await system.say("Two.", "s-1", wait=False)).status_code == 503
        third = await system.say("Three.", "s-1", wait=False)
        assert (first.status_code, third.status_code) == (202, 202)
    async with running(system_settings) as system:
        await until(lambda: system.settled("s-1"), lambda it: len(it["turns"]) == 2, seconds=20)
        turns = (await system.session("s-1"))["turns"]
        assert [(turn["turn"], turn["message"]) for turn in turns] == [(1, "One."), (2, "Three.")]
