"""Runbooks over the API, each of them really run."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from redis import Redis

from domain.approvals.events import ApprovalRequested
from domain.approvals.rules import ApprovalRules
from domain.content import Content
from domain.events import Cause
from domain.ledger import Change
from domain.runbooks.catalogue import RUNBOOKS
from tests.runbooks.stage import GOVERNANCE, RUNS, ended, request, results, run
from tests.system import ADMIN_KEY, OF_ACME, OF_ZETA, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY = timedelta(days=1)


async def test_the_catalogue_names_every_runbook_with_its_steps_and_parameters(shared: System) -> None:
    listed = (await shared.http.get(f"{GOVERNANCE}/runbooks")).raise_for_status().json()
    assert [each["id"] for each in listed["data"]] == list(RUNBOOKS)
    assert listed["pagination"]["total"] == len(RUNBOOKS)
    rotate = next(each for each in listed["data"] if each["id"] == "rotate-signing-key")
    assert rotate["approval_risk"] == "high"
    assert [step["name"] for step in rotate["steps"]] == ["inspect", "rotate", "verify"]


async def test_a_vacuum_removes_dead_rows_of_the_named_table_and_tells_how_many(shared: System) -> None:
    with psycopg.connect(str(shared.settings.database_url), autocommit=True) as connection:
        connection.execute("INSERT INTO worker_drains (worker, run_id) SELECT i, 'test' FROM generate_series(1, 500) i")
        connection.execute("DELETE FROM worker_drains")
        connection.execute("SELECT pg_stat_force_next_flush()")
    dry = await run(shared, "vacuum", dry_run=True, tables=["worker_drains"])
    assert results(dry)["vacuum"] == {"tables": 1, "vacuumed": 0, "analyzed": 0}
    wet = await run(shared, "vacuum", tables=["worker_drains"], analyze=True)
    assert wet["status"] == "completed", wet
    assert results(wet)["vacuum"] == {"tables": 1, "vacuumed": 1, "analyzed": 1}
    assert results(wet)["inspect"]["dead_rows"] == 500
    assert results(wet)["report"]["dead_rows"] == 0
    assert [(step["status"], step["attempts"]) for step in wet["steps"]] == [("completed", 1)] * 3
    assert wet["progress"] == []


async def test_a_projection_is_rebuilt_and_compared_and_a_dry_run_swaps_nothing(shared: System) -> None:
    with psycopg.connect(str(shared.settings.database_url), autocommit=True) as connection:

        def oid() -> int:
            return int(connection.execute("SELECT 'agent_versions'::regclass::oid").fetchone()[0])  # type: ignore[index]

        before = oid()
        dry = await run(shared, "rebuild-projection", dry_run=True, projection="agents")
        assert oid() == before
        wet = await run(shared, "rebuild-projection", projection="agents")
        assert oid() != before
    assert [results(each)["rebuild"]["swapped"] for each in (dry, wet)] == [False, True]
    assert all(table["equal"] for table in results(wet)["rebuild"]["tables"])
    assert results(wet)["verify"]["dead_letters"] == 0


async def test_events_set_aside_are_folded_again_in_the_order_of_the_ledger(shared: System) -> None:
    with psycopg.connect(str(shared.settings.database_url), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO projection_dead_letters (projection, position, stream, error)"
            " VALUES ('tenants', 1, 'tenant:none', 'test')"
        )
    dry = await run(shared, "retry-dead-letters", dry_run=True)
    assert results(dry)["find"]["dead_letters"] == 1
    assert results(dry)["rebuild"] == {"rebuilt": 1, "set_aside_again": 0}
    assert results(dry)["report"]["dead_letters"] == 1
    wet = await run(shared, "retry-dead-letters", projection="tenants")
    assert results(wet)["report"] == {"dead_letters": 0, "projections": []}


async def test_only_caches_below_the_prefix_are_cleared(shared: System) -> None:
    with Redis.from_url(str(shared.settings.redis_url)) as valkey:
        valkey.mset({f"convergio:cache:test:{number}": 1 for number in range(1200)})
        valkey.mset({"convergio:cache:other": 1, "convergio:rate:test": 1})
        dry = await run(shared, "clear-cache", dry_run=True, prefix="convergio:cache:test:")
        assert results(dry)["clear"] == {"prefix": "convergio:cache:test:", "removed": 0, "left": 1200}
        wet = await run(shared, "clear-cache", prefix="convergio:cache:test:")
        assert results(wet)["clear"] == {"prefix": "convergio:cache:test:", "removed": 1200, "left": 0}
        assert valkey.exists("convergio:cache:other", "convergio:rate:test") == 2
        cleared = await shared.http.post("/admin/cache/clear", json={})
        assert cleared.json() == {"prefix": "convergio:cache:", "removed": 1}
        assert valkey.delete("convergio:rate:test") == 1


async def test_overdue_approvals_expire_or_escalate_by_their_rules(shared: System) -> None:
    request_overdue(shared, "rejecting", on_expiry="reject")
    request_overdue(shared, "escalating", on_expiry="escalate")
    await until(
        lambda: asyncio.to_thread(shared.parts.approvals.count_overdue, datetime.now(UTC)), lambda count: count == 2
    )
    dry = await run(shared, "expire-approvals", dry_run=True)
    assert results(dry) == {"find": {"overdue": 2}, "expire": {"would_process": 2}}
    wet = await run(shared, "expire-approvals")
    assert results(wet)["expire"] == {"processed": 2, "escalated": 1, "expired": 1}
    shown = await shared.http.get("/api/v1/approvals/approval_rejecting")
    assert shown.json()["status"] == "expired"
    described = await shared.temporal.get_workflow_handle("approval_escalating").describe()
    assert described.status is not None
    assert described.status.name == "RUNNING"
    again = await run(shared, "expire-approvals")
    assert results(again)["expire"] == {"processed": 0}


async def test_a_signing_key_is_rotated_once_its_approval_is_given(shared: System) -> None:
    before = await key_ids(shared)
    dry = await run(shared, "rotate-signing-key", dry_run=True)
    assert (dry["status"], await key_ids(shared)) == ("completed", before)
    requested = await request(shared, "rotate-signing-key")
    waiting = await until(
        lambda: shared.http.get(requested.headers["location"]),
        lambda answer: answer.json()["status"] == "awaiting_approval",
        seconds=30,
    )
    assert [step["status"] for step in waiting.json()["steps"]] == ["completed", "pending", "pending"]
    approval = f"/api/v1/approvals/{waiting.json()['approval_id']}"
    shown = (await shared.http.get(approval)).json()
    assert shown["payload"]["runbook"] == "rotate-signing-key"
    assert shown["payload"]["found"]["inspect"]["key_id"] == before[-1]
    assert await key_ids(shared) == before
    (await shared.http.post(f"{approval}/approve", json={})).raise_for_status()
    done = await ended(shared, requested.headers["location"])
    assert done["status"] == "completed", done
    assert await key_ids(shared) == [*before, results(done)["rotate"]["key_id"]]


async def test_a_run_whose_approval_is_rejected_changes_nothing(shared: System) -> None:
    before = await key_ids(shared)
    requested = await request(shared, "rotate-signing-key")
    waiting = await until(
        lambda: shared.http.get(requested.headers["location"]),
        lambda answer: answer.json()["approval_id"] is not None,
        seconds=30,
    )
    path = f"/api/v1/approvals/{waiting.json()['approval_id']}/reject"
    (await shared.http.post(path, json={"reason": "Not today."})).raise_for_status()
    done = await ended(shared, requested.headers["location"])
    assert (done["status"], done["error"]["code"]) == ("rejected", "REJECTED")
    assert [step["status"] for step in done["steps"]] == ["completed", "skipped", "skipped"]
    assert await key_ids(shared) == before


async def test_a_cancelled_run_is_recorded_as_such_and_withdraws_its_approval(shared: System) -> None:
    requested = await request(shared, "rotate-signing-key")
    waiting = await until(
        lambda: shared.http.get(requested.headers["location"]),
        lambda answer: answer.json()["approval_id"] is not None,
        seconds=30,
    )
    approval = f"/api/v1/approvals/{waiting.json()['approval_id']}"
    await until(lambda: shared.http.get(approval), lambda answer: answer.status_code == 200, seconds=30)
    await shared.temporal.get_workflow_handle(requested.json()["run_id"]).cancel()
    done = await ended(shared, requested.headers["location"])
    assert (done["status"], done["error"]["code"]) == ("cancelled", "CANCELLED")
    await until(lambda: shared.http.get(approval), lambda answer: answer.json()["status"] == "withdrawn", seconds=30)


async def test_a_worker_that_nobody_knows_is_not_drained(shared: System) -> None:
    done = await run(shared, "drain-worker", worker="1@nowhere")
    assert (done["status"], done["error"]["code"]) == ("failed", "NOT_FOUND")
    assert done["steps"][0]["status"] == "failed"
    known = await run(shared, "drain-worker", dry_run=True, worker=shared.temporal.identity)
    assert known["status"] == "completed", known
    assert "convergio-flow" in results(known)["inspect"]["queues"]
    assert results(known)["drain"]["requested"] is False


async def test_a_repeat_under_the_same_key_is_the_same_run(shared: System) -> None:
    headers = {"Idempotency-Key": "once", "X-API-Key": ADMIN_KEY}
    first = await request(shared, "clear-cache", headers=headers)
    again = await request(shared, "clear-cache", headers=headers)
    assert first.json()["run_id"] == again.json()["run_id"]


@pytest.mark.parametrize(
    ("runbook_id", "parameters", "status"),
    [
        ("no-such-runbook", {}, 404),
        ("vacuum", {"tables": ["no_such_table"]}, 422),
        ("rebuild-projection", {"projection": "nothing"}, 422),
        ("clear-cache", {"prefix": "convergio:rate:"}, 422),
        ("clear-cache", {"unknown": 1}, 422),
    ],
)
async def test_what_cannot_be_run_is_refused_at_once(
    shared: System, runbook_id: str, parameters: dict[str, object], status: int
) -> None:
    refused = await request(shared, runbook_id, **parameters)
    assert refused.status_code == status, refused.text


async def test_a_backup_without_a_directory_fails_and_says_what_is_missing(shared: System) -> None:
    requested = await request(shared, "backup")
    run = await ended(shared, requested.headers["location"])
    assert (run["status"], run["error"]["code"]) == ("failed", "CONFLICT")
    assert "CONVERGIO_BACKUP_DIR" in run["error"]["message"]


async def test_runs_are_listed_for_their_tenant_only(shared: System) -> None:
    requested = await request(shared, "clear-cache", headers=OF_ACME)
    assert requested.status_code == 202, requested.text
    location = requested.headers["location"]
    await ended(shared, location, **OF_ACME)
    listed = await shared.http.get(RUNS, headers=OF_ACME, params={"runbook_id": "clear-cache", "status": "completed"})
    assert [each["run_id"] for each in listed.json()["data"]] == [requested.json()["run_id"]]
    assert (await shared.http.get(location, headers=OF_ZETA)).status_code == 404
    assert (await shared.http.get(RUNS, headers=OF_ZETA)).json()["data"] == []


async def key_ids(system: System) -> list[str]:
    listed = (await system.http.get("/api/v1/agents/signatures")).raise_for_status().json()
    return [key["kid"] for key in listed["keys"]]


def request_overdue(system: System, name: str, *, on_expiry: str) -> None:
    """Append an approval whose time has passed and that no workflow knows."""
    past = datetime.now(UTC) - DAY
    text = Content(f"exec_{name}", "Shall it go on?")
    event = ApprovalRequested(
        approval_id=f"approval_{name}",
        kind="request",
        risk="medium",
        title=name,
        agent_id="ali",
        owner=text.owner,
        content_hash=text.hash,
        workflow_id=text.owner,
        root_id=text.owner,
        requested_by="anonymous",
        rules=ApprovalRules(expires_after_s=3600, on_expiry=on_expiry),  # type: ignore[arg-type]
        expires_at=past + timedelta(hours=1),
        **Cause("anonymous", "req_test", past, "default").fields(),
    )
    change = Change(f"approval:approval_{name}", 0, [event])
    system.parts.ledger.append(change, key=f"approval:approval_{name}", content=[text])
