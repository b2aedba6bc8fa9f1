"""Health asks everything at once, within its time, and not more often than each second."""

import asyncio
import time
from collections.abc import Sequence

import httpx
import pytest

from api.health.service import HealthService, Probes
from domain.health.ports import Probe, ProjectionHealth
from tests.api.toy import client, refused, toy_app


async def up() -> None:
    await asyncio.sleep(0)


async def down() -> None:
    raise ConnectionRefusedError("postgres://user:secret@10.0.0.1")


async def hang() -> None:
    await asyncio.sleep(60)


ALL_UP: dict[str, Probe] = dict.fromkeys(("database", "redis", "temporal", "vector_store", "llm"), up)


async def health_of(probes: Probes) -> httpx.Response:
    async with client(toy_app(probes=probes)) as api:
        return await api.get("/health")


async def test_all_that_answers_is_healthy_and_in_the_documented_words() -> None:
    answer = await health_of(Probes(ALL_UP))
    found = answer.json()
    assert answer.status_code == 200
    assert (found["status"], found["database"], found["redis"]) == ("healthy", "connected", "connected")
    assert found["version"] == "9.9.9"
    assert found["timestamp"].endswith("Z")
    assert set(found["latency_ms"]) == set(ALL_UP)


async def test_what_is_not_configured_is_said_so_and_is_no_fault() -> None:
    found = (await health_of(Probes({"database": up}))).json()
    assert (found["status"], found["llm"], found["database"]) == ("healthy", "not_configured", "connected")


@pytest.mark.parametrize("name", ["redis", "vector_store", "llm"])
async def test_without_cache_model_or_vectors_it_is_degraded(name: str) -> None:
    answer = await health_of(Probes({**ALL_UP, name: down}))
    assert (answer.status_code, answer.json()["status"], answer.json()[name]) == (200, "degraded", "disconnected")


@pytest.mark.parametrize("name", ["database", "temporal"])
async def test_without_database_or_temporal_it_is_unhealthy_in_both_shapes(name: str) -> None:
    answer = await health_of(Probes({**ALL_UP, name: down}))
    error = refused(answer, 503, "SERVICE_UNAVAILABLE")
    found = answer.json()
    assert (found["status"], found[name], found["redis"]) == ("unhealthy", "disconnected", "connected")
    assert error["details"]["status"] == "unhealthy"
    assert "secret" not in answer.text
    assert "retry-after" in answer.headers


async def test_a_silent_server_costs_the_timeout_once_for_all() -> None:
    checkup = HealthService(Probes({**ALL_UP, "redis": hang, "llm": hang}), version="1", timeout_s=0.2)
    started = time.monotonic()
    found = await checkup.check()
    assert time.monotonic() - started < 0.35
    assert (found.status, found.redis, found.llm, found.database) == (
        "degraded",
        "disconnected",
        "disconnected",
        "connected",
    )


async def test_probing_cannot_be_used_as_load() -> None:
    asked, now = [0], [10.0]

    async def probe() -> None:
        asked[0] += 1
        await asyncio.sleep(0.01)

    checkup = HealthService(Probes({"database": probe}), version="1", clock=lambda: now[0])
    await asyncio.gather(*(checkup.check() for _ in range(50)))
    assert asked == [1]
    now[0] += 1.0
    await checkup.check()
    assert asked == [2]


async def test_projections_are_shown_and_dead_letters_degrade() -> None:
    async def projections() -> Sequence[ProjectionHealth]:
        return [ProjectionHealth("costs", lag=3, dead_letters=1)]

    found = (await health_of(Probes(ALL_UP, projections))).json()
    assert found["status"] == "degraded"
    assert found["projections"] == [{"name": "costs", "lag": 3, "dead_letters": 1}]


async def test_projections_far_behind_or_unknown_degrade() -> None:
    async def behind() -> Sequence[ProjectionHealth]:
        return [ProjectionHealth("costs", lag=1001, dead_letters=0)]

    async def unknown() -> Sequence[ProjectionHealth]:
        raise TimeoutError

    for probe in (behind, unknown):
        assert (await health_of(Probes(ALL_UP, probe))).json()["status"] == "degraded"


async def test_live_asks_nobody_and_ready_asks_for_database_and_temporal() -> None:
    async with client(toy_app(probes=Probes({"database": down, "redis": up}))) as api:
        assert (await api.get("/health/live")).json() == {"status": "alive"}
        refused(await api.get("/health/ready"), 503, "SERVICE_UNAVAILABLE")
    async with client(toy_app(probes=Probes({"database": up, "redis": down}))) as api:
        assert (await api.get("/health/ready")).json() == {"status": "ready"}
