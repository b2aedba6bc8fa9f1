"""Runs that are started, and told something, while no worker is there."""

import asyncio

import pytest

from runtime.settings import Settings
from tests.graphflow.test_api_executions import TOLD, WAIT, WAITING, at, begun, made, over, status, told
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, running, until


async def test_what_runs_are_told_without_a_worker_is_accepted_and_done_once(
    system_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.graphflow.client.ANSWER_TIMEOUT_S", 1.0)
    async with running(system_settings) as system:
        workflow_id = await made(system, [WAIT, TOLD], WAITING)
        runs = [await begun(system, workflow_id, context={"user_id": "u1"}) for _ in range(3)]
        for run in runs:
            await at(system, run, "wait")
    heard, cancelled, paused = runs
    async with running(system_settings, working=False) as system:
        answers = await asyncio.gather(
            told(system, heard, "events", json={"name": "go", "payload": {"by": "me"}}),
            told(system, cancelled, "cancel"),
            told(system, paused, "pause"),
        )
        assert [answer.status_code for answer in answers] == [202, 202, 202]
    async with running(system_settings) as system:
        done = await over(system, heard)
        assert (done["status"], done["result"]) == ("completed", {"told": {"by": "me", "who": "u1"}})
        assert (await over(system, cancelled))["status"] == "cancelled"
        await until(lambda: status(system, paused), lambda it: it["status"] == "paused", seconds=20)
        assert (await told(system, paused, "resume")).status_code == 202
        await until(lambda: status(system, paused), lambda it: it["status"] == "running", seconds=20)


async def test_swarms_and_runs_that_are_started_without_a_worker_are_accepted_and_paid_once(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    look = {"id": "look", "type": "agent", "agent": AGENT, "prompt": "Look."}
    async with running(system_settings, working=False) as system:
        workflow_id = await made(system, [look], [])
        key = {"Idempotency-Key": "one"}
        run, again = [await begun(system, workflow_id, headers=key) for _ in range(2)]
        assert run["execution_id"] == again["execution_id"]
        body = {"task": "Look.", "agents": ["amy_cfo", "oliver_pm"], "coordination_mode": "parallel"}
        swarm = await system.http.post("/api/v1/swarm/coordinate", json=body, headers=key)
        assert swarm.status_code == 202, swarm.text
        assert scripted_model.bill() == []
    async with running(system_settings) as system:
        assert (await over(system, run))["status"] == "completed"
        ended = await until(
            lambda: system.http.get(swarm.headers["location"]),
            lambda it: it.json()["status"] == "completed",
            seconds=30,
        )
        assert ended.status_code == 200
        assert len(scripted_model.bill()) == len(await system.calls()) == 4
