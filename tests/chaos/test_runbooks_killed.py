"""Each runbook run for real, its worker killed in the middle of a change: the run completes all the same, done once."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis import Redis

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.approvals.events import ApprovalRequested
from domain.approvals.rules import ApprovalRules
from domain.content import content_hash
from domain.events import Cause
from domain.ledger import Change, Ledger
from domain.registry import event_registry
from runtime.backup.backup import PARTIAL
from runtime.backup.listing import list_backups
from tests.chaos.conftest import Say
from tests.chaos.whole import Whole, eventually, soon, whole_with_model
from tests.servers import ROOT

pytestmark = pytest.mark.prove

GOVERNANCE = "/api/v1/governance"
OVER = {"completed", "failed", "rejected", "cancelled"}
AGAIN_WITHIN_S = 60.0
APPROVALS = 300
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
_STARTED = """
    SELECT count(*) FROM ledger_events WHERE topic LIKE 'runbook.step_started/%%'
    AND convert_from(state, 'UTF8')::jsonb ->> 'run_id' = %s AND convert_from(state, 'UTF8')::jsonb ->> 'step' = %s
"""
_EXPIRED = "SELECT count(*) FROM ledger_events WHERE topic LIKE 'approval.expired/%'"


async def test_a_vacuum(system: Whole, measured: Say) -> None:
    run_id = await requested(system, "vacuum", tables=["talents", "projects"], analyze=True)
    with connected(system) as connection, locked(system, "LOCK TABLE projects IN SHARE UPDATE EXCLUSIVE MODE"):
        await waiting(connection, "VACUUM%")
        killed = await kill_worker(system)
    done = await completed(system, run_id, "vacuum", killed)
    assert result(done, "vacuum") == {"tables": 2, "vacuumed": 2, "analyzed": 2}
    measured(told(done, killed))


async def test_a_rebuild(system: Whole, measured: Say) -> None:
    with connected(system) as connection, locked(system, "SELECT count(*) FROM talents"):
        run_id = await requested(system, "rebuild-projection", projection="talents")
        await waiting(connection, "DROP TABLE%")
        killed = await kill_worker(system)
    done = await completed(system, run_id, "rebuild", killed)
    assert result(done, "rebuild")["swapped"]
    assert all(table["equal"] for table in result(done, "rebuild")["tables"])
    with connected(system) as connection:
        left = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename LIKE '%\\_\\_rebuild'").fetchone()
    assert left == (0,)
    measured(told(done, killed))


async def test_a_retry_of_dead_letters(system: Whole, measured: Say) -> None:
    with connected(system) as connection:
        connection.execute(
            "INSERT INTO projection_dead_letters (projection, position, stream, error)"
            " VALUES ('talents', 1, 'talent:none', 'test')"
        )
        with locked(system, "SELECT count(*) FROM talents"):
            run_id = await requested(system, "retry-dead-letters")
            await waiting(connection, "DROP TABLE%")
            killed = await kill_worker(system)
    done = await completed(system, run_id, "rebuild", killed)
    assert result(done, "find")["dead_letters"] == 1
    assert result(done, "report")["dead_letters"] == 0
    measured(told(done, killed))


async def test_a_clearing_of_caches(system: Whole, measured: Say) -> None:
    with Redis.from_url(system.environment["REDIS_URL"]) as valkey:
        valkey.mset({f"convergio:cache:test:{number}": 1 for number in range(5_000)})
        valkey.execute_command("CLIENT", "PAUSE", 120_000, "WRITE")
        run_id = await requested(system, "clear-cache")
        await soon(lambda: any(each["cmd"] == "unlink" for each in valkey.client_list()), 30)
        killed = await kill_worker(system)
        valkey.execute_command("CLIENT", "UNPAUSE")
        done = await completed(system, run_id, "clear", killed)
        assert result(done, "count")["keys"] == 5_000
        assert result(done, "clear")["left"] == 0
        assert not valkey.keys("convergio:cache:*")
    measured(told(done, killed))


async def test_an_expiry_of_approvals(system: Whole, measured: Say) -> None:
    await asyncio.to_thread(request_overdue, system)
    with connected(system) as connection:

        def expired() -> int:
            row = connection.execute(_EXPIRED).fetchone()
            return int(row[0]) if row else 0

        def known() -> bool:
            row = connection.execute("SELECT count(*) FROM approvals").fetchone()
            return row == (APPROVALS,)

        await soon(known, 30)
        run_id = await requested(system, "expire-approvals")
        await soon(lambda: expired() > 0, 30)
        killed = await kill_worker(system)
        before = expired()
        assert 0 < before < APPROVALS, "the worker was killed too late"
        done = await completed(system, run_id, "expire", killed)
        assert expired() == APPROVALS
    assert result(done, "find")["overdue"] == APPROVALS
    measured(f"{told(done, killed)}; {before} of {APPROVALS} had expired before the kill, each of them once after it")


async def test_a_rotation_of_the_signing_key(system: Whole, measured: Say) -> None:
    before = await key_ids(system)
    run_id = await requested(system, "rotate-signing-key")
    with connected(system) as connection, locked(system, "LOCK TABLE signing_key_secrets IN SHARE MODE"):
        await approved(system, run_id)
        await waiting(connection, "%signing_key_secrets%")
        killed = await kill_worker(system)
    done = await completed(system, run_id, "rotate", killed)
    after = await key_ids(system)
    assert after == [*before, result(done, "rotate")["key_id"]]
    measured(told(done, killed))


async def test_a_draining_of_a_worker(system: Whole, measured: Say) -> None:
    """The worker that waits is killed while the one to drain stands still, which then goes on, and drains."""
    async with another_worker(system) as worker:
        identity = f"{worker.pid}@{socket.gethostname()}"

        async def polls() -> bool:
            queues = (await system.ask("/admin/system/info"))["queues"]
            return any(each["worker"] == identity for queue in queues for each in queue["workers"])

        await eventually(polls, 60)
        run_id = await requested(system, "drain-worker", worker=identity, timeout_s=120)
        await approved(system, run_id)
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            with connected(system) as connection:
                await soon(lambda: (connection.execute(_STARTED, (run_id, "await")).fetchone() or (0,))[0] > 0, 90)
            killed = await kill_worker(system)
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        done = await completed(system, run_id, "await", killed)
        assert result(done, "await")["drained_after_s"] > 0
        assert worker.returncode is None, "a drained worker waits for its end"
        assert (await system.say("Hello.")).status_code == 200
    measured(told(done, killed))


async def test_a_backup(tmp_path: Path, measured: Say) -> None:
    backups = tmp_path / "backups"
    variables = {"CONVERGIO_BACKUP_DIR": str(backups), "CONVERGIO_BACKUP_EVERY_H": "1000", "CONVERGIO_BACKUP_KEEP": "2"}
    async with whole_with_model(tmp_path, **variables) as system:
        await soon(lambda: len(list_backups(backups)) == 1, 60)  # its supervisor makes the first one
        with connected(system) as connection, locked(system, "LOCK TABLE talents IN ACCESS EXCLUSIVE MODE"):
            run_id = await requested(system, "backup")
            await waiting(connection, "LOCK TABLE%")
            killed = await kill_worker(system)
        done = await completed(system, run_id, "backup", killed)
        assert result(done, "inspect")["backups"] == 1
        assert result(done, "report")["backups"] == len(list_backups(backups)) == 2
        assert [path.name for path in backups.iterdir() if path.name.endswith(PARTIAL)] == []
    measured(told(done, killed))


async def requested(system: Whole, runbook_id: str, **parameters: Any) -> str:
    """Request a run; its id."""
    path = f"{GOVERNANCE}/runbook/{runbook_id}/execute"
    response = await system.http.post(path, json={"parameters": parameters})
    assert response.status_code == 202, response.text
    return str(response.json()["run_id"])


async def approved(system: Whole, run_id: str) -> None:
    """Approve the run once it asks."""

    async def asks() -> str | None:
        approval_id = (await system.ask(f"{GOVERNANCE}/runbooks/runs/{run_id}"))["approval_id"]
        return str(approval_id) if approval_id else None

    approval_id = await eventually(asks, 60)
    (await system.http.post(f"/api/v1/approvals/{approval_id}/approve", json={})).raise_for_status()


async def kill_worker(system: Whole) -> float:
    """Kill the worker of the system with SIGKILL, and return when its supervisor has started another."""
    dead = system.up.pid("worker")
    killed = system.signal("worker", signal.SIGKILL)
    await system.reborn("worker", dead)
    return killed


async def completed(system: Whole, run_id: str, step: str, killed: float) -> dict[str, Any]:
    """The run once it is over: completed, with a step that was begun again after the kill."""

    async def over() -> dict[str, Any] | None:
        run = await system.ask(f"{GOVERNANCE}/runbooks/runs/{run_id}")
        return run if run["status"] in OVER else None

    run = await eventually(over, AGAIN_WITHIN_S + 60)
    assert run is not None
    assert run["status"] == "completed", json.dumps(run, indent=2)
    assert time.time() - killed < AGAIN_WITHIN_S + 60
    assert {each["status"] for each in run["steps"]} == {"completed"}
    [begun] = [each for each in run["steps"] if each["name"] == step]
    assert begun["attempts"] > 1, "the kill was not in the middle of the step"
    return run


def result(run: dict[str, Any], step: str) -> dict[str, Any]:
    return dict(next(each["result"] for each in run["steps"] if each["name"] == step))


def told(run: dict[str, Any], killed: float) -> str:
    ended = datetime.fromisoformat(run["ended_at"]).timestamp()
    attempts = {each["name"]: each["attempts"] for each in run["steps"]}
    return f"{run['runbook_id']}: completed {ended - killed:.1f} s after the kill; attempts {attempts}"


@contextmanager
def connected(system: Whole) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(system.environment["DATABASE_URL"], autocommit=True) as connection:
        yield connection


@contextmanager
def locked(system: Whole, statement: str) -> Iterator[None]:
    """Hold the locks of a statement for the block."""
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        connection.execute(statement.encode())
        try:
            yield
        finally:
            connection.rollback()


async def waiting(connection: psycopg.Connection[Any], query: str) -> None:
    """Return when a query of this form waits for a lock."""
    await soon(lambda: (connection.execute(_WAITS, (query,)).fetchone() or (0,))[0] > 0, 60)


async def key_ids(system: Whole) -> list[str]:
    return [key["kid"] for key in (await system.ask("/api/v1/agents/signatures"))["keys"]]


def request_overdue(system: Whole) -> None:
    """Append approvals whose time has passed and that no workflow knows."""
    database = Database(system.environment["DATABASE_URL"], size=1)
    database.open()
    past, text = datetime.now(UTC) - timedelta(days=1), content_hash("Shall it go on?")
    try:
        ledger = Ledger(LedgerRecorder(database), event_registry())
        changes = []
        for number in range(APPROVALS):
            approval_id = f"approval_{number:03}"
            event = ApprovalRequested(
                approval_id=approval_id,
                kind="request",
                risk="medium",
                title="Overdue",
                agent_id="ali",
                owner=f"exec_{number:03}",
                content_hash=text,
                workflow_id=f"exec_{number:03}",
                root_id=f"exec_{number:03}",
                requested_by="anonymous",
                rules=ApprovalRules(expires_after_s=3600),
                expires_at=past + timedelta(hours=1),
                **Cause("anonymous", "req_test", past, "default").fields(),
            )
            changes.append(Change(f"approval:{approval_id}", 0, [event]))
        ledger.append(*changes, key="overdue-approvals")
    finally:
        database.close()


@asynccontextmanager
async def another_worker(system: Whole) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker beside the system's own. It finds the servers, and the secret to sign with, in the data directory."""
    own = {"CONVERGIO_DATA_DIR": str(system.up.directory), "CONVERGIO_MODEL": "scripted"}
    servers = {**own, "OPENAI_BASE_URL": system.model.url}
    command = [sys.executable, "-m", "runtime.cli", "worker"]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, **servers}, stdout=quiet, stderr=quiet
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
