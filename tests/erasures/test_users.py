"""A user is erased with their sessions, swarms, executions and schedules, whatever runs and whoever dies meanwhile."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from domain.chat import sessions
from domain.content import Content
from domain.events import Cause
from domain.ledger import Change
from domain.tenant_ids import DEFAULT
from runtime.settings import Settings
from tests.erasures.stage import ERASURES, completed, erased, figures, places
from tests.scripted_model import ScriptedModel
from tests.servers import ROOT
from tests.signatures.exported import check, export_of, jwks_of
from tests.system import AGENT, System, running, until

ASKED = {"type": "agent", "agent": AGENT, "prompt": "{{ item }}"}
WORKFLOW = {
    "name": "Asked",
    "input": {
        "type": "object",
        "properties": {"things": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3}},
        "required": ["things"],
    },
    "nodes": [
        {"id": "each", "type": "map", "over": "input.things", "node": ASKED},
        {
            "id": "team",
            "type": "swarm",
            "mode": "parallel",
            "agents": [AGENT, "amy_cfo"],
            "task": "{{ input.things[0] }}",
        },
        {"id": "wait", "type": "wait", "event": "go"},
    ],
    "edges": [{"from": "each", "to": "team"}, {"from": "team", "to": "wait"}],
}


@asynccontextmanager
async def worker(settings: Settings, log: Path) -> AsyncIterator[Process]:
    """A worker in a process of its own, killed at the end."""
    servers = {
        "DATABASE_URL": settings.database_url,
        "TEMPORAL_ADDRESS": settings.temporal_address,
        "TEMPORAL_NAMESPACE": settings.temporal_namespace,
        "REDIS_URL": settings.redis_url,
        "OPENAI_BASE_URL": settings.openai_base_url,
        "CONVERGIO_MODEL": "scripted",
        "CONVERGIO_SIGNING_KEY": settings.signing_key.get_secret_value() if settings.signing_key else "",
    }
    environment = {**os.environ, **{name: str(value) for name, value in servers.items()}}
    command = [sys.executable, "-m", "runtime.cli", "worker"]
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=out, stderr=out)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def say(system: System, user_id: str, session_id: str, message: str, **more: Any) -> Any:
    context = {"user_id": user_id, "session_id": session_id}
    body = {"agent_id": AGENT, "message": message, "context": context, **more}
    return await system.http.post("/api/v1/agents/chat", json=body, headers={"Idempotency-Key": uuid4().hex})


def open_as_before(system: System, session_id: str, user_id: str, message: str) -> None:
    """Open a session as it was done when events named users."""
    cause = Cause("anonymous", "req_1", datetime.now(UTC), DEFAULT)
    opening = sessions.SessionOpening(session_id, AGENT, "anonymous", f"chat-{session_id}", user_id=user_id)
    events = sessions.open_session(sessions.Session(), opening, cause)
    change = Change(sessions.session_stream(session_id), 0, events)
    system.parts.ledger.append(change, key=f"open:{session_id}", content=[Content(session_id, message)])


def of_view(system: System, session_id: str) -> tuple[Any, ...] | None:
    with psycopg.connect(str(system.settings.database_url)) as connection:
        return connection.execute(
            "SELECT user_id, status FROM chat_sessions WHERE session_id = %s", (session_id,)
        ).fetchone()


def marks(system: System, erasure_id: str) -> int:
    with psycopg.connect(str(system.settings.database_url)) as connection:
        row = connection.execute("SELECT count(*) FROM erased_owners WHERE erasure_id = %s", (erasure_id,)).fetchone()
    return int(row[0]) if row else 0


async def test_a_user_is_erased_while_their_chats_run_and_a_worker_is_killed(
    system_settings: Settings, scripted_model: ScriptedModel, tmp_path: Path, capfd: Any
) -> None:
    mark, user_id, log = f"mark{uuid4().hex}", f"ada-{uuid4().hex[:8]}", tmp_path / "worker.log"
    async with running(system_settings, working=False) as system:
        async with worker(system_settings, log) as first:
            await say(system, "grace", "of-grace", "Stay.", timeout_s=60)
            await say(system, user_id, "done", f"Say {mark}.", timeout_s=60)
            for number in range(4):
                await say(system, user_id, f"open-{number}", f"[[first 6]] {mark}", wait=False)
            await scripted_model.until(lambda bill: len(bill) >= 6, seconds=30)
            assert len(await places(system, mark)) >= 2
            asked = await system.http.post(ERASURES, json={"kind": "user", "id": user_id})
            erasure_id = asked.json()["id"]
            await until(lambda: asyncio.to_thread(marks, system, erasure_id), bool, seconds=30)
            first.kill()
            await first.wait()
        async with worker(system_settings, log):
            done = await completed(system, asked.headers["location"], seconds=120)
            assert done["removed"]["owners"] == 5
            assert await places(system, mark) == []
            assert await places(system, user_id) == []
            before = figures(system)
            again = await erased(system, "user", user_id)
            assert (again["subject"], again["removed"]["owners"]) == (done["subject"], 0)
            assert figures(system) == before
            kept = await system.session("of-grace")
            assert kept["turns"][0]["message"] == "Stay."
            report = check(await export_of(system, "/agents/chat/done"), jwks_of(system))
            assert (report.findings, report.erased) == ((), 1)
    logs = log.read_text() + "".join(capfd.readouterr())
    assert mark not in logs
    assert user_id not in logs


async def test_swarms_executions_schedules_and_old_sessions_of_a_user_are_erased(
    system: System, scripted_model: ScriptedModel
) -> None:
    mark, context = f"mark{uuid4().hex}", {"user_id": "ada", "note": "n"}
    await say(system, "ada", "chat", mark)
    task = {"task": mark, "agents": ["amy_cfo", AGENT], "context": context}
    swarm = (await system.http.post("/api/v1/swarm/coordinate", json=task)).json()
    made = await system.http.post("/api/v1/workflows", json=WORKFLOW)
    assert made.status_code == 201, made.text
    place = f"/api/v1/workflows/{made.json()['id']}"
    run = await system.http.post(f"{place}/execute", json={"input": {"things": [mark, "b"]}, "context": context})
    assert run.status_code == 202, run.text
    target = {"kind": "chat", "agent_id": AGENT, "message": mark, "context": {"user_id": "ada"}}
    schedule = await system.http.post("/api/v1/schedules", json={"target": target, "cron": "0 0 1 1 *"})
    assert schedule.status_code == 201, schedule.text
    other = {**target, "message": "Theirs.", "context": {"user_id": "grace"}}
    theirs = await system.http.post("/api/v1/schedules", json={"target": other, "cron": "0 0 1 1 *"})
    await until(
        lambda: system.http.get(f"/api/v1/swarm/status/{swarm['task_id']}"),
        lambda answer: answer.json()["status"] == "completed",
        seconds=30,
    )
    await until(
        lambda: system.http.get(f"{place}/status"),
        lambda answer: answer.json()["current_nodes"] == ["wait"],
        seconds=30,
    )
    await asyncio.to_thread(open_as_before, system, "old", "ada", mark)
    before = figures(system)
    done = await erased(system, "user", "ada")
    assert done["removed"]["owners"] == 6  # two sessions, a swarm, an execution with another swarm, a schedule
    assert await places(system, mark) == []
    assert figures(system) == before
    assert (await system.http.get(schedule.headers["location"])).status_code == 404
    assert (await system.http.get(theirs.headers["location"])).json()["target"]["message"] == "Theirs."
    assert await asyncio.to_thread(of_view, system, "old") == (None, "ended")
    execution = (await system.http.get(f"{place}/status")).json()
    assert execution["status"] in {"cancelled", "failed"}
