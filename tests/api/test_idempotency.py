"""A POST with the same key and body is answered as it was the first time, whoever dies in between."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from fastapi import APIRouter, Response

from adapters.memory.idempotency import MemoryAnswers
from adapters.postgres.idempotency import PostgresAnswers
from adapters.postgres.ledger.pool import Database
from api.http.api_keys import key_hash
from api.http.caller import ALL_SCOPES
from api.http.dependencies import joins_on_repeat
from domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    OverBudget,
    PreconditionFailed,
    RateLimited,
    TooLarge,
    Unavailable,
    UpstreamFailed,
)
from domain.idempotency.ports import AnswerStore, StoredAnswer
from domain.keys.ports import StoredKey
from tests.api.serve import running
from tests.api.toy import SECRET, WITH_ADMIN, Toy, client, refused, toy_app

URL = "/api/v1/things"
TENANTS = ("default", "acme", "zeta")
KEY = {"idempotency-key": "once"}
ANSWER = StoredAnswer(201, (("content-type", "application/json"), ("location", "/x/1")), b'{"id":1}')
NAME, PRINT = b"k" * 32, b"f" * 32


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=4)
    database.open()
    yield database
    database.close()


@pytest.fixture(params=["memory", "postgres"])
def answers(request: pytest.FixtureRequest) -> AnswerStore:
    """A store whose leases last 0.3 s and whose answers 1 s, in each adapter."""
    if request.param == "memory":
        return MemoryAnswers(lease_s=0.3, kept_s=1.0)
    return PostgresAnswers(request.getfixturevalue("database"), lease_s=0.3, kept_s=1.0)


@pytest.fixture
def kept(database: Database) -> PostgresAnswers:
    return PostgresAnswers(database)


async def test_a_claim_is_given_once_and_then_the_kept_answer(answers: AnswerStore) -> None:
    assert await answers.claim(NAME, PRINT, "one") == "claimed"
    assert await answers.claim(NAME, PRINT, "two") == "busy"
    await answers.keep(NAME, "one", ANSWER)
    assert await answers.claim(NAME, PRINT, "two") == ANSWER


async def test_a_key_stands_for_one_body(answers: AnswerStore) -> None:
    await answers.claim(NAME, PRINT, "one")
    assert await answers.claim(NAME, b"g" * 32, "two") == "other_body"
    await answers.keep(NAME, "one", ANSWER)
    assert await answers.claim(NAME, b"g" * 32, "two") == "other_body"


async def test_a_released_claim_is_free(answers: AnswerStore) -> None:
    await answers.claim(NAME, PRINT, "one")
    await answers.release(NAME, "one")
    assert await answers.claim(NAME, b"g" * 32, "two") == "claimed"


async def test_a_lease_that_ran_out_is_taken_over_and_the_late_holder_changes_nothing(answers: AnswerStore) -> None:
    await answers.claim(NAME, PRINT, "one")
    await asyncio.sleep(0.4)
    assert await answers.claim(NAME, PRINT, "two") == "claimed"
    await answers.keep(NAME, "one", ANSWER)
    await answers.release(NAME, "one")
    assert await answers.claim(NAME, PRINT, "three") == "busy"


async def test_a_renewed_lease_lasts(answers: AnswerStore) -> None:
    await answers.claim(NAME, PRINT, "one")
    for _ in range(3):
        await asyncio.sleep(0.2)
        await answers.renew(NAME, "one")
    assert await answers.claim(NAME, PRINT, "two") == "busy"


async def test_an_answer_is_kept_for_its_time_only(answers: AnswerStore) -> None:
    await answers.claim(NAME, PRINT, "one")
    await answers.keep(NAME, "one", ANSWER)
    await asyncio.sleep(1.1)
    assert await answers.claim(NAME, b"g" * 32, "two") == "claimed"


async def test_of_many_claims_at_once_one_is_given(kept: PostgresAnswers) -> None:
    outcomes = await asyncio.gather(*(kept.claim(NAME, PRINT, str(n)) for n in range(20)))
    assert sorted(map(str, outcomes)) == ["busy"] * 19 + ["claimed"]


async def test_expired_rows_are_swept(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.postgres.idempotency._SWEEP_EVERY_S", 0.0)
    store = PostgresAnswers(database, kept_s=0.05)
    for n in range(3):
        await store.claim(bytes([n]) * 32, PRINT, "one")
    await asyncio.sleep(0.1)
    await store.claim(NAME, PRINT, "two")
    with database.connection() as connection:
        assert connection.execute("SELECT count(*) FROM http_idempotency").fetchone() == (1,)


async def test_a_repeat_gets_the_first_answer_and_nothing_is_done_again(kept: PostgresAnswers) -> None:
    toy = Toy()
    async with client(toy_app(toy, answers=kept)) as api:
        first = await api.post(URL, json={"name": "a", "size": 2}, headers=KEY)
        again = await api.post(URL, json={"size": 2, "name": "a"}, headers=KEY)
    assert toy.made == 1
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    for name in ("location", "etag", "content-type"):
        assert first.headers[name] == again.headers[name]
    assert first.headers["x-request-id"] != again.headers["x-request-id"]


async def test_the_same_key_with_another_body_or_query_is_a_conflict(kept: PostgresAnswers) -> None:
    async with client(toy_app(answers=kept)) as api:
        await api.post(URL, json={"name": "a"}, headers=KEY)
        refused(await api.post(URL, json={"name": "b"}, headers=KEY), 409, "CONFLICT")
        refused(await api.post(URL + "?dry_run=true", json={"name": "a"}, headers=KEY), 409, "CONFLICT")


async def test_a_repeat_may_ask_for_the_envelope(kept: PostgresAnswers) -> None:
    async with client(toy_app(answers=kept)) as api:
        plain = await api.post(URL, json={"name": "a"}, headers=KEY)
        wrapped = await api.post(URL + "?envelope=true", json={"name": "a"}, headers=KEY)
    assert wrapped.json()["data"] == plain.json()
    assert wrapped.json()["request_id"] == wrapped.headers["x-request-id"]


async def test_keys_belong_to_their_caller_and_path(kept: PostgresAnswers) -> None:
    toy = Toy()
    async with client(toy_app(toy, answers=kept, keys=WITH_ADMIN)) as api:
        await api.post(URL, json={"name": "a"}, headers=KEY)
        other = await api.post(URL, json={"name": "b"}, headers={**KEY, "x-api-key": SECRET})
        path = await api.post(URL + "/admin", headers=KEY)
    assert (other.status_code, path.status_code) == (201, 200)
    assert toy.made == 2


async def test_keys_of_two_tenants_are_not_the_same_even_where_their_callers_are_called_alike(
    kept: PostgresAnswers,
) -> None:
    toy, keys = Toy(), {key_hash(f"cvg_{t}"): StoredKey("key_1", ALL_SCOPES, t) for t in TENANTS}
    async with client(toy_app(toy, answers=kept, keys=keys)) as api:
        scoped = {(await api.post(f"{URL}/key", headers={**KEY, "x-api-key": f"cvg_{t}"})).json() for t in TENANTS}
        for tenant_id in TENANTS:
            made = await api.post(URL, json={"name": tenant_id}, headers={**KEY, "x-api-key": f"cvg_{tenant_id}"})
            assert (made.status_code, "idempotency-replayed" in made.headers) == (201, False)
    assert (len(scoped), toy.made) == (3, 3)


@pytest.mark.parametrize(
    "error",
    [NotFound("no"), Forbidden("no"), Invalid("no"), TooLarge("no"), PreconditionFailed("no"), RateLimited("no")],
    ids=lambda error: type(error).__name__,
)
async def test_a_refusal_that_may_be_another_one_next_time_is_not_kept(kept: PostgresAnswers, error: Exception) -> None:
    toy = Toy()
    toy.fail = error
    async with client(toy_app(toy, answers=kept)) as api:
        refusal = await api.post(URL, json={"name": "a"}, headers=KEY)
        assert refusal.status_code in {403, 404, 412, 413, 422, 429}
        toy.fail = None
        again = await api.post(URL, json={"name": "a"}, headers=KEY)
        assert (again.status_code, "idempotency-replayed" in again.headers) == (201, False)
        assert (await api.post(URL, json={"name": "a"}, headers=KEY)).content == again.content
    assert toy.made == 2


async def test_conflicts_are_kept_and_accidents_are_not(kept: PostgresAnswers) -> None:
    toy = Toy()
    async with client(toy_app(toy, answers=kept)) as api:
        toy.fail = Conflict("it is so already")
        first = await api.post(URL, json={"name": "a"}, headers=KEY)
        toy.fail = None
        again = await api.post(URL, json={"name": "a"}, headers=KEY)
        assert (first.status_code, again.status_code, again.headers["idempotency-replayed"]) == (409, 409, "true")
        toy.made = 0
        for error in (RuntimeError("bug"), Unavailable("away"), OverBudget("too much")):
            toy.fail = error
            failed = await api.post(URL, json={"name": "a"}, headers={"idempotency-key": "two"})
            assert failed.status_code in {429, 500, 503}
        toy.fail = None
        answer = await api.post(URL, json={"name": "a"}, headers={"idempotency-key": "two"})
    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers
    assert toy.made == 4


class Work:
    """A toy whose POST begins work, which a repeat joins."""

    def __init__(self) -> None:
        self.status = 202
        self.fail: Exception | None = None
        self.asked = 0

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api/v1/works", tags=["Admin"])

        @routes.post("", dependencies=[joins_on_repeat()])
        async def begin(response: Response) -> dict[str, int]:
            """Begin."""
            self.asked += 1
            if self.fail:
                raise self.fail
            response.status_code = self.status
            return {"asked": self.asked}

        @routes.post("/told", status_code=202)
        async def tell() -> dict[str, int]:
            """Told, and nothing to be joined."""
            self.asked += 1
            return {"asked": self.asked}

        return routes


WORKS = "/api/v1/works"


async def test_a_202_is_read_afresh_until_the_work_is_over(answers: AnswerStore) -> None:
    work = Work()
    async with client(toy_app(answers=answers, routers=(work.router(),))) as api:
        first = await api.post(WORKS, json={}, headers=KEY)
        second = await api.post(WORKS, json={}, headers=KEY)
        assert [each.json()["asked"] for each in (first, second)] == [1, 2]
        assert "idempotency-replayed" not in second.headers
        assert "convergio-joins" not in first.headers
        work.status = 200
        over = await api.post(WORKS, json={}, headers=KEY)
        last = await api.post(WORKS, json={}, headers=KEY)
    assert (over.status_code, over.json()["asked"]) == (200, 3)
    assert (last.content, last.headers["idempotency-replayed"]) == (over.content, "true")
    assert "convergio-joins" not in last.headers


async def test_a_key_stands_for_one_body_while_the_work_goes_on(answers: AnswerStore) -> None:
    async with client(toy_app(answers=answers, routers=(Work().router(),))) as api:
        await api.post(WORKS, json={}, headers=KEY)
        refused(await api.post(WORKS, json={"other": 1}, headers=KEY), 409, "CONFLICT")


@pytest.mark.parametrize("error", [NotFound("gone"), Invalid("in the past"), Conflict("retired")])
async def test_what_was_accepted_stays_accepted(answers: AnswerStore, error: Exception) -> None:
    work = Work()
    async with client(toy_app(answers=answers, routers=(work.router(),))) as api:
        first = await api.post(WORKS, json={}, headers=KEY)
        work.fail = error
        again = await api.post(WORKS, json={}, headers=KEY)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"


async def test_work_that_has_failed_meanwhile_is_told_and_asked_about_again(answers: AnswerStore) -> None:
    work = Work()
    async with client(toy_app(answers=answers, routers=(work.router(),))) as api:
        await api.post(WORKS, json={}, headers=KEY)
        work.fail = UpstreamFailed("the model said no")
        assert (await api.post(WORKS, json={}, headers=KEY)).status_code == 502
        work.fail, work.status = None, 200
        assert (await api.post(WORKS, json={}, headers=KEY)).status_code == 200


async def test_a_202_that_nothing_joins_is_answered_as_the_first_time(answers: AnswerStore) -> None:
    work = Work()
    async with client(toy_app(answers=answers, routers=(work.router(),))) as api:
        told = [await api.post(f"{WORKS}/told", json={}, headers=KEY) for _ in range(2)]
    assert [each.json()["asked"] for each in told] == [1, 1]


async def test_only_a_provisional_answer_is_replaced(answers: AnswerStore) -> None:
    await answers.claim(NAME, PRINT, "one")
    await answers.keep(NAME, "one", ANSWER)
    await answers.replace(NAME, StoredAnswer(200, (), b"{}"))
    assert await answers.claim(NAME, PRINT, "two") == ANSWER


async def test_streams_are_not_kept(kept: PostgresAnswers) -> None:
    toy = Toy()
    async with client(toy_app(toy, answers=kept)) as api:
        for _ in range(2):
            answer = await api.post(URL + "/stream", headers=KEY)
            assert answer.json() == {"pieces": 2}
            assert "idempotency-replayed" not in answer.headers
    assert toy.made == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "ä"])
async def test_a_key_must_be_short_and_visible(key: str) -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, json={"name": "a"}, headers={b"idempotency-key": key.encode()})
    assert refused(answer, 422, "VALIDATION_ERROR")["details"]["field"] == "Idempotency-Key"


async def test_a_request_without_a_key_never_touches_the_store() -> None:
    async with client(toy_app(answers=Away())) as api:
        assert (await api.post(URL, json={"name": "a"})).status_code == 201
        assert (await api.get(URL, headers=KEY)).status_code == 200


async def test_a_keyed_request_is_refused_while_the_store_is_away() -> None:
    toy = Toy()
    async with client(toy_app(toy, answers=Away())) as api:
        answer = await api.post(URL, json={"name": "a"}, headers=KEY)
    refused(answer, 503, "SERVICE_UNAVAILABLE")
    assert "retry-after" in answer.headers
    assert toy.made == 0


async def test_work_that_was_done_is_answered_even_if_it_cannot_be_kept() -> None:
    async with client(toy_app(answers=Forgetful())) as api:
        assert (await api.post(URL, json={"name": "a"}, headers=KEY)).status_code == 201


async def test_a_second_call_waits_for_the_first_and_gets_its_answer() -> None:
    toy = Toy()
    toy.gate.clear()
    async with client(toy_app(toy)) as api:
        calls = [asyncio.create_task(api.post(URL, json={"name": "a"}, headers=KEY)) for _ in range(3)]
        await asyncio.sleep(0.1)
        toy.gate.set()
        answers = await asyncio.gather(*calls)
    assert toy.made == 1
    assert len({answer.content for answer in answers}) == 1
    assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False, True, True]


async def test_a_second_call_does_the_work_when_the_first_failed() -> None:
    toy = Toy()
    toy.gate.clear()
    toy.fail = RuntimeError("bug")
    async with client(toy_app(toy)) as api:
        calls = [asyncio.create_task(api.post(URL, json={"name": "a"}, headers=KEY)) for _ in range(2)]
        await asyncio.sleep(0.1)
        toy.gate.set()
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        toy.fail = None
        statuses = sorted([(await call).status_code for call in calls])
    assert statuses in ([201, 500], [500, 500])
    assert toy.made == 2


async def test_waiting_for_the_first_call_has_an_end() -> None:
    toy = Toy()
    toy.gate.clear()
    async with client(toy_app(toy, idempotency_wait_s=0.2)) as api:
        first = asyncio.create_task(api.post(URL, json={"name": "a"}, headers=KEY))
        await asyncio.sleep(0.05)
        refused(await api.post(URL, json={"name": "a"}, headers=KEY), 503, "SERVICE_UNAVAILABLE")
        toy.gate.set()
        assert (await first).status_code == 201


async def test_a_long_call_keeps_its_claim_by_renewing_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.http.idempotency.RENEW_S", 0.1)
    toy = Toy()
    toy.gate.clear()
    async with client(toy_app(toy, answers=PostgresAnswers(database, lease_s=0.3))) as api:
        calls = [asyncio.create_task(api.post(URL, json={"name": "a"}, headers=KEY)) for _ in range(2)]
        await asyncio.sleep(1.0)
        toy.gate.set()
        await asyncio.gather(*calls)
    assert toy.made == 1


async def test_a_scoped_key_is_the_same_for_a_repeat_and_another_for_others() -> None:
    app = toy_app(keys=WITH_ADMIN)
    async with client(app) as api:
        mine = [(await api.post(URL + "/key", headers=KEY)).json() for _ in range(2)]
        theirs = (await api.post(URL + "/key", headers={**KEY, "x-api-key": SECRET})).json()
        none = (await api.post(URL + "/key")).json()
    assert mine[0] == mine[1]
    assert len(mine[0]) == 64
    assert theirs != mine[0]
    assert none is None


def test_two_processes_answer_one_key_once(redis_url: str, database_url: str) -> None:
    with running(redis_url, database_url) as (one, _), running(redis_url, database_url) as (two, _):
        with ThreadPoolExecutor(8) as threads:
            posts = [threads.submit(post, (one, two)[n % 2], "shared") for n in range(8)]
        answers = [sent.result() for sent in posts]
    assert {answer.status_code for answer in answers} == {201}
    assert len([answer for answer in answers if "idempotency-replayed" not in answer.headers]) == 1
    assert len({answer.content for answer in answers}) == 1


def test_a_killed_process_leaves_a_claim_that_the_next_takes_over(redis_url: str, database_url: str) -> None:
    with running(redis_url, database_url) as (two, _), psycopg.connect(database_url, autocommit=True) as connection:
        with running(redis_url, database_url) as (one, process):
            lost = threading.Thread(target=unanswered, args=(one, "mine"))
            lost.start()
            while not connection.execute("SELECT 1 FROM http_idempotency").fetchone():
                time.sleep(0.01)
            process.kill()
            lost.join()
        left = connection.execute("UPDATE http_idempotency SET lease_until = now() WHERE status IS NULL").rowcount
        answer = post(two, "mine")
    assert left == 1
    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


def post(address: str, key: str) -> httpx.Response:
    return httpx.post(address + URL, json={"name": "a"}, headers={"idempotency-key": key}, timeout=30)


def unanswered(address: str, key: str) -> None:
    with pytest.raises(httpx.HTTPError):
        post(address, key)


class Away:
    """A store that cannot be reached."""

    async def claim(self, key: bytes, fingerprint: bytes, holder: str, *, tenant_id: str | None = None) -> str:
        raise Unavailable("the database cannot be reached", retry_after=2)


class Forgetful(MemoryAnswers):
    """A store that goes away in mid-request."""

    async def keep(self, key: bytes, holder: str, answer: StoredAnswer) -> None:
        raise Unavailable("the database cannot be reached")
