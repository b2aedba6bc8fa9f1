"""The token bucket: exact, shared, continuous, and out of the way when its server is."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from math import floor

import httpx
import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from adapters.memory.rate_limit import MemoryRateLimit
from adapters.redis.rate_limit import RedisRateLimit
from api.http.api_keys import key_hash
from api.http.caller import ALL_SCOPES
from api.http.rate_limit import FallbackRateLimiter
from domain.errors import Unavailable
from domain.governance.ports import NoRateLimit, RateLimiter, RateLimitVerdict
from domain.keys.ports import StoredKey
from runtime.settings import Settings
from runtime.wiring.parts import make_fallback_limiter
from tests.api.serve import running
from tests.api.toy import SECRET, WITH_ADMIN, client, refused, toy_app

WHO = "/api/v1/things/who"


@pytest.fixture
async def redis_limiter(redis_url: str) -> AsyncIterator[RedisRateLimit]:
    """Five tokens, and the next in two minutes: none comes back while a test runs, however slow the machine is."""
    limiter = RedisRateLimit.connect(redis_url, requests=5, seconds=600)
    yield limiter
    await limiter.close()


@pytest.fixture(params=["memory", "redis"])
def limiter(request: pytest.FixtureRequest) -> RateLimiter:
    """Five tokens in ten minutes, in each adapter."""
    if request.param == "memory":
        return MemoryRateLimit(requests=5, seconds=600)
    found: RateLimiter = request.getfixturevalue("redis_limiter")
    return found


@pytest.fixture
async def shared_limiter(redis_url: str) -> AsyncIterator[RedisRateLimit]:
    limiter = RedisRateLimit.connect(redis_url, requests=100, seconds=60)
    yield limiter
    await limiter.close()


async def taken(limiter: RateLimiter, bucket: str = "b") -> RateLimitVerdict:
    verdict = await limiter.take(bucket)
    assert verdict
    return verdict


async def test_a_bucket_gives_what_it_holds_and_then_refuses(limiter: RateLimiter) -> None:
    verdicts = [await taken(limiter) for _ in range(6)]
    assert [verdict.allowed for verdict in verdicts] == [True] * 5 + [False]
    assert [verdict.remaining for verdict in verdicts] == [4, 3, 2, 1, 0, 0]
    assert {verdict.limit for verdict in verdicts} == {5}
    assert 60 < verdicts[-1].retry_after <= 120
    assert time.time() + 540 < verdicts[-1].full_at <= time.time() + 602


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_a_bucket_refills_one_token_at_a_time(kind: str, redis_url: str) -> None:
    quick = {"requests": 5, "seconds": 1}
    limiter = MemoryRateLimit(**quick) if kind == "memory" else RedisRateLimit.connect(redis_url, **quick)
    started = time.monotonic()
    took = [await taken(limiter) for _ in range(6)]
    while took[-1].allowed:
        took.append(await taken(limiter))
    await asyncio.sleep(0.25)
    while (verdict := await taken(limiter)).allowed:
        took.append(verdict)
    given = sum(verdict.allowed for verdict in took)
    assert 6 <= given <= 5 + floor((time.monotonic() - started) * 5)
    if isinstance(limiter, RedisRateLimit):
        await limiter.close()


async def test_each_bucket_is_its_own(limiter: RateLimiter) -> None:
    while (await taken(limiter)).allowed:
        pass
    assert (await taken(limiter, "another")).allowed


async def test_headers_say_where_the_caller_stands_and_a_refusal_when_to_come_back(
    redis_limiter: RedisRateLimit,
) -> None:
    async with client(toy_app(limiter=redis_limiter)) as api:
        answers = [await api.get(WHO) for _ in range(6)]
        missing = await api.get("/api/v1/nothing")
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    last = answers[-1]
    refused(last, 429, "RATE_LIMIT_EXCEEDED")
    assert 60 < int(last.headers["retry-after"]) <= 120
    assert last.headers["x-ratelimit-limit"] == "5"
    assert int(last.headers["x-ratelimit-reset"]) >= time.time()
    assert "x-ratelimit-limit" in missing.headers


async def test_keys_have_buckets_of_their_own_and_others_pay_by_address(redis_limiter: RedisRateLimit) -> None:
    app = toy_app(limiter=redis_limiter, keys=WITH_ADMIN)
    async with client(app) as one, client(app, "10.0.0.2") as other:
        for _ in range(5):
            await one.get(WHO)
        assert (await one.get(WHO)).status_code == 429
        assert (await one.get(WHO, headers={"x-api-key": SECRET})).status_code == 200
        assert (await other.get(WHO)).status_code == 200


async def test_keys_of_two_tenants_have_buckets_of_their_own(redis_limiter: RedisRateLimit) -> None:
    keys = {key_hash(f"cvg_{tenant}"): StoredKey("key_1", ALL_SCOPES, tenant) for tenant in ("acme", "zeta")}
    async with client(toy_app(limiter=redis_limiter, keys=keys)) as api:
        statuses = [(await api.get(WHO, headers={"x-api-key": "cvg_acme"})).status_code for _ in range(6)]
        assert statuses == [200] * 5 + [429]
        assert (await api.get(WHO, headers={"x-api-key": "cvg_zeta"})).status_code == 200


async def test_an_ipv6_network_is_one_client(redis_limiter: RedisRateLimit) -> None:
    app = toy_app(limiter=redis_limiter)
    for host in range(6):
        async with client(app, f"2001:db8::{host + 1}") as api:
            status = (await api.get(WHO)).status_code
    assert status == 429


async def test_guessing_keys_is_paid_for_by_the_address(redis_limiter: RedisRateLimit) -> None:
    async with client(toy_app(limiter=redis_limiter)) as api:
        statuses = [(await api.get(WHO, headers={"x-api-key": f"cvg_{n}"})).status_code for n in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_health_figures_and_docs_are_not_limited(redis_limiter: RedisRateLimit) -> None:
    async with client(toy_app(limiter=redis_limiter)) as api:
        for path in ("/health/live", "/metrics", "/docs", "/openapi.json") * 3:
            answer = await api.get(path)
            assert answer.status_code == 200
            assert "x-ratelimit-limit" not in answer.headers


async def test_without_a_limit_nothing_is_limited_or_said() -> None:
    async with client(toy_app(limiter=NoRateLimit())) as api:
        assert "x-ratelimit-limit" not in (await api.get(WHO)).headers


async def test_of_150_quick_calls_to_two_processes_exactly_what_the_bucket_holds_is_answered(
    redis_url: str, database_url: str
) -> None:
    with running(redis_url, database_url) as (one, _), running(redis_url, database_url) as (two, _):
        async with httpx.AsyncClient() as http:
            started = time.monotonic()
            answers = await asyncio.gather(*(http.get((one, two)[n % 2] + WHO, timeout=30) for n in range(150)))
            seconds = time.monotonic() - started
    allowed = [answer for answer in answers if answer.status_code == 200]
    assert 100 <= len(allowed) <= 100 + floor(seconds * 100 / 60)
    for answer in answers:
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(answer.headers)
        if answer.status_code != 200:
            refused(answer, 429, "RATE_LIMIT_EXCEEDED")
            assert int(answer.headers["retry-after"]) >= 1


async def test_concurrent_calls_take_exactly_one_token_each(shared_limiter: RedisRateLimit) -> None:
    verdicts = await asyncio.gather(*(taken(shared_limiter) for _ in range(100)))
    assert sorted(verdict.remaining for verdict in verdicts) == list(range(100))


@pytest.mark.parametrize(
    "path", ["/metrics", "/health", "/health/live", "/docs", "/openapi.json", "/redoc", WHO, "/nowhere"]
)
@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
async def test_wrong_keys_are_limited_on_every_path(path: str, header: str) -> None:
    limiter = MemoryRateLimit(requests=3, seconds=60)
    wrong = {header: "Bearer cvg_wrong" if header == "authorization" else "cvg_wrong"}
    async with client(toy_app(limiter=limiter, auth_on=True, keys=WITH_ADMIN)) as api:
        statuses = [(await api.get(path, headers=wrong)).status_code for _ in range(6)]
        assert statuses == [401] * 3 + [429] * 3
        good = [(await api.get("/metrics", headers={"x-api-key": SECRET})).status_code for _ in range(6)]
        assert good == [200] * 6
        assert [(await api.get("/health/live")).status_code for _ in range(6)] == [200] * 6


async def test_metrics_without_a_key_are_limited_where_they_need_one() -> None:
    limiter = MemoryRateLimit(requests=3, seconds=60)
    async with client(toy_app(limiter=limiter, auth_on=True, keys=WITH_ADMIN)) as api:
        assert [(await api.get("/metrics")).status_code for _ in range(5)] == [401] * 3 + [429] * 2


async def test_a_limiter_that_was_warmed_asks_one_question_a_request(redis_url: str) -> None:
    limiter = RedisRateLimit.connect(redis_url, requests=5, seconds=60)
    await limiter.warm()
    async with Redis.from_url(redis_url) as seen:
        before = await seen.info("stats")
        await limiter.take("somebody")
        after = await seen.info("stats")
    await limiter.close()
    assert after["total_connections_received"] == before["total_connections_received"]
    assert after["total_commands_processed"] - before["total_commands_processed"] == 5, "script, its three, and ours"


async def test_a_server_that_is_away_is_no_reason_not_to_start() -> None:
    limiter = RedisRateLimit.connect("redis://127.0.0.1:1", requests=5, seconds=1)
    await limiter.warm()
    await limiter.close()


async def test_while_the_buckets_cannot_be_reached_each_process_limits_by_its_own_and_counts_it() -> None:
    limiter = RedisRateLimit.connect("redis://127.0.0.1:1", requests=5, seconds=60)
    own = MemoryRateLimit(requests=5, seconds=60)
    async with client(toy_app(limiter=limiter, limiter_meanwhile=own)) as api:
        with capture_logs() as logs:
            answers = [await api.get(WHO) for _ in range(20)]
        figures = (await api.get("/metrics")).text
    await limiter.close()
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 15
    assert answers[-1].headers["x-ratelimit-limit"] == "5"
    assert "convergio_rate_limit_alone_total 20.0" in figures
    assert len([line for line in logs if line["event"].startswith("rate limit not shared")]) == 1


async def test_the_whole_api_has_buckets_of_its_own_for_when_the_shared_ones_are_away() -> None:
    settings = Settings(rate_limit="7/60", redis_url="redis://127.0.0.1:1")
    own = make_fallback_limiter(settings)
    assert [(await taken(own)).allowed for _ in range(8)] == [True] * 7 + [False]


async def test_the_own_buckets_go_on_from_where_the_shared_ones_stood(redis_url: str) -> None:
    shared = RedisRateLimit.connect(redis_url, requests=10, seconds=600)
    elsewhere = [await shared.take("b") for _ in range(6)]
    policy = FallbackRateLimiter(shared, MemoryRateLimit(requests=10, seconds=600), alone=lambda: None)
    assert elsewhere[-1].remaining == 4
    assert await remaining(policy) == 3
    async with Redis.from_url(redis_url) as server:
        await server.execute_command("CLIENT", "PAUSE", 3_000, "ALL")
    assert [await remaining(policy) for _ in range(4)] == [2, 1, 0, None]
    await shared.close()


async def remaining(policy: FallbackRateLimiter) -> int | None:
    verdict = await policy.take("b")
    assert verdict
    return verdict.remaining if verdict.allowed else None


async def test_a_process_that_is_held_up_does_not_take_that_for_the_servers_silence(
    shared_limiter: RedisRateLimit,
) -> None:
    await shared_limiter.warm()
    took = [asyncio.create_task(taken(shared_limiter)) for _ in range(30)]
    for _ in range(3):
        await asyncio.sleep(0)
        time.sleep(2.1)  # noqa: ASYNC251  (longer than its patience)
    assert len(await asyncio.gather(*took)) == 30


async def test_a_server_that_is_late_on_a_busy_machine_is_waited_for(
    shared_limiter: RedisRateLimit, redis_url: str
) -> None:
    await shared_limiter.warm()
    async with Redis.from_url(redis_url) as server:
        await server.execute_command("CLIENT", "PAUSE", 1_000, "ALL")
    assert (await taken(shared_limiter)).allowed


async def test_buckets_of_one_process_that_are_full_again_are_forgotten() -> None:
    now = [1_000.0]
    limiter = MemoryRateLimit(requests=5, seconds=1, clock=lambda: now[0])
    for each in range(30_000):
        now[0] += 0.001
        await limiter.take(f"client:{each}")
    assert len(limiter._full) <= 10_000  # noqa: SLF001  (memory is what this is about)


async def test_a_server_that_never_answers_is_waited_for_once_and_briefly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        limiter = RedisRateLimit.connect(f"redis://127.0.0.1:{silent.getsockname()[1]}", requests=5, seconds=1)
        policy = FallbackRateLimiter(limiter, NoRateLimit(), alone=lambda: None, pause_s=0.2)
        started = time.monotonic()
        took = await asyncio.gather(*(timed(policy) for _ in range(50)))
        assert max(took) < 0.9
        assert time.monotonic() - started < 0.9
        assert await timed(policy) < 0.05
        await asyncio.sleep(0.25)
        assert await timed(policy) < 0.3
        await limiter.close()


async def timed(policy: FallbackRateLimiter) -> float:
    started = time.monotonic()
    assert await policy.take("b") is None
    return time.monotonic() - started


class Flaky:
    """A limiter that can be switched off; counts how often it is asked."""

    def __init__(self) -> None:
        self.up = False
        self.asked = 0

    async def take(self, bucket: str) -> RateLimitVerdict | None:
        self.asked += 1
        if not self.up:
            raise Unavailable("away")
        return RateLimitVerdict(True, 5, 4, 0)


async def test_the_buckets_are_asked_again_after_a_pause_by_one_request() -> None:
    now, flaky = [100.0], Flaky()
    policy = FallbackRateLimiter(flaky, NoRateLimit(), alone=lambda: None, clock=lambda: now[0])
    for _ in range(5):
        assert await policy.take("b") is None
    assert flaky.asked == 1
    now[0] += 1.1
    assert await policy.take("b") is None
    assert flaky.asked == 2
    now[0] += 1.1
    flaky.up = True
    assert await policy.take("b")
    assert await policy.take("b")
    assert flaky.asked == 4
