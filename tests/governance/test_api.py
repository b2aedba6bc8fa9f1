"""Objectives, rate limits and the state of the system over the API."""

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from adapters.postgres.operations.objectives import PostgresObjectives
from adapters.postgres.operations.request_counts import PostgresRequestRecorder
from domain.errors import Unavailable
from domain.governance.objectives import HOUR, PERIOD_S
from runtime.settings import Settings
from tests.runbooks.stage import ended
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, OF_ACME, OF_ZETA, System, running, until

SLO = "/api/v1/governance/slo"
LIMITS = "/api/v1/governance/rate-limits"
ADMIN = {"X-API-Key": ADMIN_KEY}


async def slo(system: System, **headers: str) -> dict[str, object]:
    response = (await system.http.get(SLO, headers=headers)).raise_for_status()
    return dict(response.json())


async def test_figures_are_those_of_the_requests_and_turns_that_were_made(
    system: System, scripted_model: ScriptedModel
) -> None:
    first = await slo(system)
    assert first["slo_metrics"] == {
        "availability": None,
        "response_time_p95": None,
        "error_rate": None,
        "period": "30d",
    }
    for _ in range(20):
        (await system.http.get("/api/v1/talents")).raise_for_status()
    for _ in range(3):
        assert (await system.http.get("/api/v1/talents/999")).status_code == 404
    assert (await system.say("Hello.")).status_code == 200
    scripted_model.script({"contains": "refused", "status": 401})
    assert (await system.say("Be refused.")).status_code == 502
    await system.http.get("/health")
    found = await until(lambda: slo(system), lambda found: found["requests"] >= 26, seconds=20)  # type: ignore[operator]
    # 20 reads, 3 that found nothing, two messages, and the reading of the figures itself
    classes = {each["name"]: each for each in found["classes"]}  # type: ignore[attr-defined]
    assert classes["model"]["requests"] == 2
    assert classes["model"]["failed"] == 1
    assert classes["read"]["failed"] == 0
    assert found["turns"] == 2
    metrics = dict(found["slo_metrics"])  # type: ignore[call-overload]
    assert metrics["error_rate"] == 50.0
    assert metrics["availability"] == round(100 * (1 - 1 / int(found["requests"])), 6)  # type: ignore[call-overload]
    assert 0 < metrics["response_time_p95"] < 2
    objectives = {each["indicator"]: each for each in found["objectives"]}  # type: ignore[attr-defined]
    assert objectives["error_rate"]["bad"] == 1
    assert objectives["error_rate"]["budget_left"] == -49.0
    assert [each["windows"] for each in objectives["error_rate"]["burn_rates"]] == ["1h/5m", "6h/30m", "3d/6h"]


async def test_a_caller_without_admin_sees_the_figures_of_its_tenant_only(guarded: System) -> None:
    made = await guarded.http.post("/api/v1/keys", json={"name": "reader", "scopes": ["read"]}, headers=OF_ACME)
    reader = {"X-API-Key": made.raise_for_status().json()["key"]}
    for _ in range(7):
        await guarded.http.get("/api/v1/talents", headers=OF_ZETA)
    operator = await until(lambda: slo(guarded, **ADMIN), lambda found: found["requests"] >= 7, seconds=20)  # type: ignore[operator]
    own = await slo(guarded, **reader)
    assert (operator["scope"], own["scope"]) == ("deployment", "tenant")
    assert int(own["requests"]) < 7  # type: ignore[call-overload]
    for path in ("/api/v1/governance/slo/alerts", "/api/v1/governance/runbooks", "/admin/system/info"):
        assert (await guarded.http.get(path, headers=reader)).status_code == 403


async def test_the_rate_limit_is_read_without_a_token_and_operators_see_who_uses_most(
    system_settings: Settings,
) -> None:
    settings = system_settings.model_copy(update={"rate_limit": (50, 60)})
    async with running(settings, working=False) as system:
        for _ in range(5):
            await system.http.get("/api/v1/talents", headers=OF_ACME)
        shown = await system.http.get(LIMITS, headers=OF_ACME)
        body = shown.json()
        assert (body["enabled"], body["shared"], body["limit"], body["window_s"]) == (True, True, 50, 60)
        assert body["remaining"] == int(shown.headers["x-ratelimit-remaining"])
        assert body["reset"] == int(shown.headers["x-ratelimit-reset"])
        assert body["top_consumers"][0]["caller"] == "acme~key_acme"
        assert body["top_consumers"][0]["used"] == 50 - body["remaining"]


async def test_the_rate_limit_says_so_where_it_is_off_or_not_shared(
    system: System, system_settings: Settings, free_port: int
) -> None:
    assert (await system.http.get(LIMITS)).json()["enabled"] is False
    away = system_settings.model_copy(update={"rate_limit": (50, 60), "redis_url": f"redis://127.0.0.1:{free_port}/0"})
    async with running(away, working=False) as alone:
        body = (await alone.http.get(LIMITS)).raise_for_status().json()
        assert (body["enabled"], body["shared"], body["limit"], body["remaining"]) == (True, False, 50, None)
        assert body["top_consumers"] is None
        info = (await alone.http.get("/admin/system/info")).raise_for_status().json()
        assert (info["valkey"], info["unreachable"]) == (None, ["valkey"])
        assert (await alone.http.post("/admin/cache/clear", json={})).status_code == 503


async def test_the_state_of_the_system_names_workers_queues_projections_and_disk(system: System) -> None:
    async def polled() -> httpx.Response:
        return (await system.http.get("/admin/system/info")).raise_for_status()

    answer = await until(polled, lambda answer: any(queue["workers"] for queue in answer.json()["queues"]), seconds=20)
    info = answer.json()
    assert info["unreachable"] == []
    assert {queue["queue"] for queue in info["queues"]} >= {"convergio-flow", "convergio-io"}
    workers = {each["worker"] for queue in info["queues"] for each in queue["workers"]}
    assert system.temporal.identity in workers
    assert {"agents", "runbooks", "governance"} <= {each["name"] for each in info["projections"]}
    assert info["database"]["total_bytes"] > 0
    assert info["pool"]["maximum"] == 8
    assert info["platform"]["postgresql"]
    assert info["platform"]["temporal"]


async def test_a_vacuum_is_a_run_of_its_runbook(system: System) -> None:
    started = await system.http.post("/admin/maintenance/vacuum", json={"tables": ["talents"], "analyze": True})
    assert started.status_code == 202, started.text
    done = await ended(system, started.headers["location"])
    assert (done["runbook_id"], done["status"], done["parameters"]["tables"]) == ("vacuum", "completed", ["talents"])
    refused = await system.http.post("/admin/maintenance/vacuum", json={"tables": ["pg_authid"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    for body in ({"tables": ['talents"; DROP TABLE talents; --']}, {"table": []}, {"tables": ["a\x00"]}):
        assert (await system.http.post("/admin/maintenance/vacuum", json=body)).status_code == 422


async def test_minutes_become_hours_and_the_sums_stay(system: System) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    old = (now - timedelta(days=10)).replace(minute=0)
    with psycopg.connect(str(system.settings.database_url), autocommit=True) as connection:
        for minute in range(120):
            connection.execute(
                "INSERT INTO request_counts VALUES (%s, 'acme', 'read', 2, -20, 5)", (old + timedelta(minutes=minute),)
            )
        connection.execute(
            "INSERT INTO request_counts VALUES (%s, 'acme', 'read', 2, -20, 5)", (now - timedelta(days=60),)
        )
        counts = PostgresObjectives(system.parts.database)
        counts.compact(now)
        counts.compact(now)
        rows = connection.execute("SELECT count(*), sum(count) FROM request_counts WHERE tenant_id = 'acme'").fetchone()
    assert rows == (2, 600)
    windows = counts.windows(now, "acme")
    assert windows[PERIOD_S].classes["read"].requests == 600
    assert windows[HOUR].classes == {}


async def test_counts_are_kept_while_the_database_is_away(system: System) -> None:
    recorder = PostgresRequestRecorder(system.parts.database)
    recorder.note("/api/v1/talents", "GET", 200, 0.01, "kept")
    write, tries = recorder._write, []  # noqa: SLF001  (the database goes away for one write)

    def away(counts: object) -> None:
        tries.append(counts)
        raise Unavailable("the database cannot be reached")

    recorder._write = away  # type: ignore[method-assign, assignment]  # noqa: SLF001
    await recorder.flush()
    recorder.note("/api/v1/talents", "GET", 200, 0.01, "kept")
    recorder._write = write  # type: ignore[method-assign]  # noqa: SLF001
    await recorder.flush()
    windows = PostgresObjectives(system.parts.database).windows(datetime.now(UTC), "kept")
    assert windows[PERIOD_S].classes["read"].requests == 2


@pytest.fixture
async def guarded(system_settings: Settings) -> AsyncIterator[System]:
    """A system with authentication."""
    settings = Settings(**{**system_settings.model_dump(), "auth": "keys", "admin_key": ADMIN_KEY})
    async with running(settings, working=False) as started:
        for tenant_id in ("acme", "zeta"):
            body = {"id": tenant_id, "name": tenant_id}
            (await started.http.post("/api/v1/tenants", json=body, headers=ADMIN)).raise_for_status()
        yield started


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
