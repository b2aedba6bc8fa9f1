"""Runs that Temporal lost, alerts of the reconciliation, and a worker that drains."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.operations.worker_drains import PostgresWorkerDrains
from domain.events import Cause
from domain.runbooks.commands import RunbookCommands
from runtime.processes.worker import make_workers, run_until_drained
from runtime.processes.worker_drain import DrainWatch
from runtime.settings import Settings
from tests.runbooks.stage import RUNS, ended
from tests.system import System, running, until
from workflows.reconcile.workflow import ReconcileWorkflow
from workflows.task_queues import WORKFLOW_QUEUE


async def reconcile(system: System) -> object:
    return await system.temporal.execute_workflow(
        ReconcileWorkflow.run, id=f"reconcile-{uuid4()}", task_queue=WORKFLOW_QUEUE
    )


async def test_a_run_that_temporal_never_got_is_started_by_the_reconciliation(system: System) -> None:
    run_id = "runbook_lost"
    cause = Cause("anonymous", "req_1", datetime.now(UTC), "default")
    parameters = {"prefix": "convergio:cache:"}
    RunbookCommands(system.parts.ledger).request(run_id, "clear-cache", parameters, cause, dry_run=False)
    await until(lambda: system.http.get(f"{RUNS}/{run_id}"), lambda answer: answer.status_code == 200)
    found = await reconcile(system)
    assert getattr(found, "runbooks", None) == 1
    assert (await ended(system, f"{RUNS}/{run_id}"))["status"] == "completed"
    assert getattr(await reconcile(system), "runbooks", None) == 0


async def test_the_reconciliation_opens_and_closes_alerts(system: System) -> None:
    with psycopg.connect(str(system.settings.database_url), autocommit=True) as connection:
        connection.execute("INSERT INTO request_counts VALUES (date_trunc('minute', now()), 'x', 'read', 5, -20, 50)")
        connection.execute("INSERT INTO request_counts VALUES (date_trunc('minute', now()), 'x', 'read', 2, -20, 950)")
        assert getattr(await reconcile(system), "alerts", None) == 3
        report = (await system.http.get("/api/v1/governance/slo")).raise_for_status().json()
        assert {each["type"] for each in report["alerts"]} == {"critical", "warning"}
        assert report["alerts"][0]["current"] > report["alerts"][0]["threshold"]
        connection.execute("DELETE FROM request_counts WHERE tenant_id = 'x'")
    assert getattr(await reconcile(system), "alerts", None) == 3
    assert (await system.http.get("/api/v1/governance/slo")).json()["alerts"] == []


@pytest.mark.parametrize("is_drained_before", [False, True], ids=["a new identity", "an identity that was drained"])
async def test_a_worker_that_is_told_to_drain_takes_no_more_work_and_says_so(
    system_settings: Settings, *, is_drained_before: bool
) -> None:
    async with running(system_settings, working=False) as system:
        drains = PostgresWorkerDrains(system.parts.database)
        if is_drained_before:
            drains.request("1@test", "runbook_0")
            drains.mark_drained("1@test")
        stop = asyncio.Event()
        workers = make_workers(system.settings, system.temporal, system.parts, None)
        serving = asyncio.create_task(run_until_drained(workers, stop, DrainWatch(drains, "1@test")))
        assert (await system.say("Hello.")).status_code == 200
        await until(lambda: asyncio.to_thread(drains.find, "1@test"), lambda found: found is None)
        drains.request("1@test", "runbook_1")
        found = await until(
            lambda: asyncio.to_thread(drains.find, "1@test"),
            lambda found: found is not None and found.drained_at is not None,
            seconds=30,
        )
        assert found is not None
        assert (await system.say("Is anybody there?", timeout_s=1)).status_code == 202
        assert not serving.done()
        stop.set()
        await serving
