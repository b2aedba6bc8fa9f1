"""Each server dies while it is needed, stays away for a while, and comes back."""

import asyncio
import time
from pathlib import Path

import httpx
import pytest

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.whole import CHAT, Whole, eventually, whole_with_model, within

pytestmark = pytest.mark.prove

AWAY_S = 2.0


async def test_without_temporal_reads_answer_and_starts_are_refused_and_runs_go_on(
    system: Whole, measured: Say
) -> None:
    session = (await system.say("Before.")).json()["session_id"]
    history = await system.turns(session)
    waiting = asyncio.create_task(system.say_until_answered("Meanwhile. [[delay 2]]", "meanwhile", key="meanwhile"))
    await system.model.until(lambda bill: len(bill) == 2)
    with system.down("temporal"):
        assert await system.turns(session) == history
        began = time.monotonic()
        refused = await system.say("Now.")
        took = time.monotonic() - began
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, refused.text
        assert int(refused.headers["retry-after"]) > 0
    assert (await within(60, waiting)).is_success
    assert [turn["turn"] for turn in await system.turns("meanwhile")] == [1]
    assert (await system.say_until_answered("After.", session, key="after")).json()["turn"] == 2
    agreed = assert_books_agree(await system.calls(), system.model.bill())
    measured(f"without Temporal: reads answered, a start refused with 503 after {took:.1f} s; calls {dict(agreed)}")


async def test_a_call_finished_while_postgres_was_away_is_settled_and_not_made_again(
    system: Whole, measured: Say
) -> None:
    waiting = await system.in_call("What did I pay for? [[delay 2]]")
    with system.down("postgres"):
        refused = await system.say("Now.")
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, refused.text
        assert int(refused.headers["retry-after"]) > 0
        await system.model.until(lambda bill: bill[0]["state"] == "finished")
        await asyncio.sleep(AWAY_S)
    answer = await within(60, waiting)
    assert answer.status_code == httpx.codes.OK, answer.text
    assert (await system.say("After.", answer.json()["session_id"])).json()["turn"] == 2
    agreed = assert_books_agree(await system.calls(), system.model.bill())
    assert agreed == {("settled", "finished"): 2}
    measured(f"PostgreSQL away while the provider answered: writes 503, the call settled once; calls {dict(agreed)}")


async def test_without_valkey_nobody_is_refused_whom_the_shared_buckets_would_let_in(
    tmp_path: Path, measured: Say
) -> None:
    async with whole_with_model(tmp_path, CONVERGIO_RATE_LIMIT="1000/60") as system:
        before = int((await system.say("Before.")).headers["x-ratelimit-remaining"])
        with system.down("valkey"):
            began = time.monotonic()
            passed = [await system.say(f"By the API's own buckets {number}.") for number in range(5)]
            took = time.monotonic() - began
            assert await alone(system) >= 5
        assert [response.status_code for response in passed] == [httpx.codes.OK] * 5
        left = [int(response.headers["x-ratelimit-remaining"]) for response in passed]
        assert all(remaining <= before + 20 * took for remaining in left), "they go on from where the shared ones stood"

        async def shared_again() -> bool:
            counted = await alone(system)
            await system.http.get(f"{CHAT}/nobody")
            return await alone(system) == counted

        await eventually(shared_again, 30)
    measured(f"without Valkey: 5 messages answered in {took:.1f} s by the API's own buckets; then by the shared ones")


async def alone(system: Whole) -> int:
    """Requests that were limited without Valkey."""
    text = (await system.http.get("/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith("convergio_rate_limit_alone_total ")]
    return int(float(line.split()[1]))


async def test_a_run_goes_on_when_the_api_dies_and_the_retry_gets_its_answer(system: Whole, measured: Say) -> None:
    waiting = asyncio.create_task(system.say_until_answered("Who listens? [[delay 3]]", "listened", key="one"))
    await system.model.until(lambda bill: len(bill) == 1)
    system.up.kill("api")
    response = await within(60, waiting)
    assert response.is_success, response.text
    assert [turn["turn"] for turn in await system.turns("listened")] == [1]
    agreed = assert_books_agree(await system.calls(), system.model.bill())
    assert agreed == {("settled", "finished"): 1}
    measured(f"API killed while a caller waited: the run was not disturbed, the retry answered; calls {dict(agreed)}")


async def test_views_say_that_they_are_behind_and_catch_up(system: Whole, measured: Say) -> None:
    session = (await system.say("Before.")).json()["session_id"]
    history = await system.turns(session)
    with system.down("projections"):
        assert (await system.say("Meanwhile.", session)).json()["turn"] == 2
        stale = await system.http.get(f"{CHAT}/{session}")
        assert stale.json()["turns"] == history
        assert "x-convergio-stale" in stale.headers
    began = time.monotonic()

    async def caught_up() -> bool:
        return len(await system.turns(session)) == 2

    await eventually(caught_up, 60)
    took = time.monotonic() - began
    assert_books_agree(await system.calls(), system.model.bill())
    measured(f"without projections: answers come, views say they are behind; {took:.1f} s later they had caught up")
