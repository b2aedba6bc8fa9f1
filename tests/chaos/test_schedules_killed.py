"""A worker process is killed in the middle of a firing: the work starts exactly once.

Locks in the database hold the worker where it is to die.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from runtime.settings import Settings
from tests.schedules.stage import call, chat, fired, make
from tests.scripted_model import ScriptedModel
from tests.servers import ROOT
from tests.system import AGENT, SIGNING_KEY, System, running, until

pytestmark = pytest.mark.prove

SWARM = {"kind": "swarm", "task": "Plan.", "agents": ["amy_cfo"]}
_COUNT = "SELECT count(*) FROM ledger_events WHERE topic LIKE %s"
_APPENDS = 7152348
"""The lock that every append takes."""


@asynccontextmanager
async def worker(settings: Settings) -> AsyncIterator[Process]:
    """A worker in a process of its own, killed at the end."""
    servers = {
        "DATABASE_URL": settings.database_url,
        "TEMPORAL_ADDRESS": settings.temporal_address,
        "TEMPORAL_NAMESPACE": settings.temporal_namespace,
        "REDIS_URL": settings.redis_url,
        "OPENAI_BASE_URL": settings.openai_base_url,
        "CONVERGIO_MODEL": "scripted",
        "CONVERGIO_SIGNING_KEY": SIGNING_KEY,
    }
    environment = {**os.environ, **{name: str(value) for name, value in servers.items()}}
    command = [sys.executable, "-m", "runtime.cli", "worker"]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=DEVNULL, stderr=DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Observer:
    """A connection that looks at the ledger, and that holds locks."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def count(self, topic: str) -> int:
        row = await (await self._connection.execute(_COUNT, (f"{topic}/%",))).fetchone()
        return int(row[0]) if row else 0

    async def until_recorded(self, topic: str) -> None:
        await until(lambda: self.count(topic), bool, seconds=90)


@asynccontextmanager
async def observer(system: System) -> AsyncIterator[Observer]:
    async with await psycopg.AsyncConnection.connect(str(system.settings.database_url), autocommit=True) as connection:
        yield Observer(connection)


@asynccontextmanager
async def locked(system: System, statement: str) -> AsyncIterator[None]:
    async with await psycopg.AsyncConnection.connect(str(system.settings.database_url)) as connection:
        await connection.execute(statement.encode())
        yield
        await connection.rollback()


async def workflow(system: System) -> dict[str, Any]:
    node = {"id": "told", "type": "transform", "set": {"who": "1"}}
    drawn = {"name": f"Drawn {uuid4().hex}", "nodes": [node], "edges": []}
    made = await system.http.post("/api/v1/workflows", json=drawn)
    return {"kind": "workflow", "workflow_id": made.json()["id"], "input": {"request": "Go."}}


@pytest.mark.parametrize(
    ("kind", "begun"),
    [("chat", "chat.turn_started"), ("swarm", "swarm.requested"), ("workflow", "graphflow.run_started")],
)
async def test_killed_between_firing_and_start_exactly_one_run_begins(
    system_settings: Settings, scripted_model: ScriptedModel, kind: str, begun: str
) -> None:
    async with running(system_settings, working=False) as system, observer(system) as ledger:
        targets = {"chat": chat(), "swarm": SWARM, "workflow": await workflow(system)}
        schedule = await make(system, targets[kind])
        async with worker(system_settings) as first:
            async with locked(system, "LOCK TABLE content IN EXCLUSIVE MODE"):
                await call(system, schedule, "trigger")
                await ledger.until_recorded("schedule.fired")
                await asyncio.sleep(0.5)
                first.kill()
                await first.wait()
            assert await ledger.count("schedule.run_accepted") == 0
        async with worker(system_settings):
            (firing,) = await fired(system, schedule, seconds=60)
            assert firing["status"] == "accepted", firing["error"]
            await ledger.until_recorded(begun)
        assert (await ledger.count("schedule.fired"), await ledger.count(begun)) == (1, 1)


async def test_killed_between_start_and_outcome_exactly_one_run_begins(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    async with running(system_settings, working=False) as system, observer(system) as ledger:
        schedule = await make(system, SWARM)
        async with worker(system_settings) as first:
            async with locked(system, "LOCK TABLE content IN EXCLUSIVE MODE"):
                await call(system, schedule, "trigger")
                await ledger.until_recorded("schedule.fired")
                held = locked(system, f"SELECT pg_advisory_xact_lock({_APPENDS})")
                await held.__aenter__()
            await until(lambda: swarms(system), bool, seconds=30)
            first.kill()
            await first.wait()
            await held.__aexit__(None, None, None)
        assert await ledger.count("schedule.run_accepted") == 0
        async with worker(system_settings):
            (firing,) = await fired(system, schedule, seconds=60)
            await ledger.until_recorded("swarm.requested")
        assert [firing["run"]["id"]] == await swarms(system)
        assert await ledger.count("swarm.requested") == 1


async def swarms(system: System) -> list[str]:
    """The swarms that Temporal has."""
    return [each.id async for each in system.temporal.list_workflows("WorkflowType = 'Swarm'")]


async def test_what_was_started_before_the_kill_stays_accepted_though_it_would_be_refused_by_now(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    async with running(system_settings, working=False) as system, observer(system) as ledger:
        target = await workflow(system)
        schedule = await make(system, target)
        async with worker(system_settings) as first:
            async with locked(system, "LOCK TABLE content IN EXCLUSIVE MODE"):
                await call(system, schedule, "trigger")
                await ledger.until_recorded("schedule.fired")
                held = locked(system, f"SELECT pg_advisory_xact_lock({_APPENDS})")
                await held.__aenter__()
            await until(lambda: executions(system), bool, seconds=30)
            first.kill()
            await first.wait()
            await held.__aexit__(None, None, None)
        assert (await system.http.delete(f"/api/v1/workflows/{target['workflow_id']}")).status_code == 200
        async with worker(system_settings):
            (firing,) = await fired(system, schedule, seconds=60)
        assert (firing["status"], [firing["run"]["id"]]) == ("accepted", await executions(system))


async def executions(system: System) -> list[str]:
    """The executions that Temporal has."""
    return [each.id async for each in system.temporal.list_workflows("WorkflowType = 'GraphRun'")]


async def test_while_no_worker_runs_a_trigger_is_accepted_and_done_later(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    async with running(system_settings, working=False) as system:
        schedule = await make(system, {**SWARM, "agents": [AGENT]})
        assert (await call(system, schedule, "trigger")).status_code == 202
        async with worker(system_settings):
            (firing,) = await fired(system, schedule, seconds=60)
        assert firing["status"] == "accepted"
