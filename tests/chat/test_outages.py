"""Chats while something is away: what fails says so, what can wait does, nothing is called safe that is not."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from domain.chat.policy import MOST_FAILURES
from runtime.embedded.temporal import DYNAMIC_CONFIG
from runtime.settings import Settings
from tests.chaos.books import assert_books_agree
from tests.outages import Relay, database_away, relay
from tests.scripted_model import ScriptedModel
from tests.system import CHAT, System, running, until


def changed(settings: Settings, **values: object) -> Settings:
    return settings.model_copy(update=values)


def assert_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert int(response.headers["retry-after"]) >= 1


@pytest.fixture
async def provider(scripted_model: ScriptedModel) -> AsyncIterator[Relay]:
    """The way to the model provider."""
    async with relay(f"{scripted_model.host}:{scripted_model.port}") as made:
        yield made


@pytest.fixture
async def engine(temporal_address: str) -> AsyncIterator[Relay]:
    """The way to Temporal."""
    async with relay(temporal_address) as made:
        yield made


async def test_a_provider_that_is_down_is_an_upstream_error(
    system_settings: Settings, provider: Relay, scripted_model: ScriptedModel
) -> None:
    async with running(changed(system_settings, openai_base_url=f"http://{provider.address}/v1")) as system:
        async with provider.away():
            response = await system.say("Is anybody there?", headers={"Idempotency-Key": "one"})
            assert response.status_code == 502, response.text
            error = response.json()["error"]
            assert (error["code"], error["details"]["status"]) == ("UPSTREAM_ERROR", "failed")
            [turn] = (await system.session(error["details"]["session_id"]))["turns"]
            assert (turn["status"], turn["response"]) == ("failed", None)
            assert turn["error"] == {"code": "UPSTREAM_ERROR", "message": error["message"]}
        calls = await system.calls()
        assert [call["state"] for call in calls] == ["failed"] * MOST_FAILURES
        assert {call["error"] for call in calls} == {"unreachable"}
        assert scripted_model.bill() == []
        answered = await system.say("Is anybody there?", headers={"Idempotency-Key": "one"})
        assert (answered.status_code, answered.json()["turn"]) == (200, 1)


async def test_a_provider_that_never_ends_is_given_up_and_may_charge(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"hang": True, "times": 3}, {"hang_after_chunks": 1, "times": None})
    async with running(changed(system_settings, model_timeout_s=0.3)) as system:
        response = await system.say("Take your time.")
        assert response.status_code == 502, response.text
        calls = await system.calls()
        assert_books_agree(calls, scripted_model.bill())
        assert sorted(call["state"] for call in calls) == ["cut"] * 2 + ["unknown"] * 3, "what arrived is booked"
        assert {call["error"] for call in calls} == {"timeout"}


async def test_without_temporal_nothing_is_accepted_and_what_was_said_can_be_read(
    system_settings: Settings, engine: Relay, scripted_model: ScriptedModel
) -> None:
    async with running(changed(system_settings, temporal_address=engine.address)) as system:
        session_id = (await system.say("Before.")).json()["session_id"]
        async with engine.away():
            answers = await asyncio.gather(
                system.say("Meanwhile.", session_id),
                system.say("Meanwhile."),
                system.say("Meanwhile.", wait=False),
                system.http.delete(f"{CHAT}/{session_id}"),
            )
            for answer in answers:
                assert_unavailable(answer)
            session = await system.session(session_id)
            assert (session["status"], session["pending"]) == ("idle", None)
            assert [turn["message"] for turn in session["turns"]] == ["Before."]
            assert len(await system.calls()) == 1
        response = await until(
            lambda: system.say("After.", session_id), lambda response: response.status_code != 503, seconds=20
        )
        assert (response.status_code, response.json()["turn"]) == (200, 2), response.text
        assert_books_agree(await system.calls(), scripted_model.bill())


async def test_without_the_database_chats_are_unavailable(
    system: System, system_settings: Settings, postgres_server: str, scripted_model: ScriptedModel
) -> None:
    session_id = (await system.say("Before.")).json()["session_id"]
    with database_away(postgres_server, system_settings.database_url or ""):
        assert_unavailable(await system.say("Meanwhile.", session_id))
        assert_unavailable(await system.say("Meanwhile.", session_id, headers={"Idempotency-Key": "one"}))
        assert_unavailable(await system.http.get(f"{CHAT}/{session_id}"))
        assert_unavailable(await system.http.delete(f"{CHAT}/{session_id}"))
        assert_unavailable(await system.http.get("/api/v1/cost-management/usage"))
        assert_unavailable(await system.http.get("/api/v1/cost-management/ledger"))
    response = await until(
        lambda: system.say("After.", session_id), lambda response: response.status_code != 503, seconds=20
    )
    assert (response.status_code, response.json()["turn"]) == (200, 2), response.text


async def test_messages_no_worker_takes_are_accepted_soon_and_answered_once_when_there_is_one(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    async with running(system_settings, working=False) as system:
        began = time.monotonic()
        answers = await asyncio.gather(
            system.say("Anybody? 1", timeout_s=3, headers={"Idempotency-Key": "one"}),
            system.say("Anybody? 2", wait=False),
            system.say("Anybody? 3", timeout_s=1),
        )
        assert time.monotonic() - began < 10
        assert [answer.status_code for answer in answers] == [202, 202, 202]
        locations = [answer.headers["location"] for answer in answers]
        for location in locations:
            polled = (await system.http.get(location)).json()
            assert (polled["status"], polled["pending"]) == ("running", 1)
        assert scripted_model.bill() == []
    async with running(system_settings) as system:
        for location in locations:
            session = await system.settled(location.rpartition("/")[2], seconds=30)
            assert [turn["status"] for turn in session["turns"]] == ["completed"]
        again = await system.say("Anybody? 1", timeout_s=3, headers={"Idempotency-Key": "one"})
        assert again.json()["session_id"] == answers[0].json()["session_id"]
        assert len(scripted_model.bill()) == 3
        assert_books_agree(await system.calls(), scripted_model.bill())


async def test_more_messages_than_a_run_can_have_in_flight_are_accepted_and_answered_once(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    in_flight = int(str(DYNAMIC_CONFIG["history.maxInFlightUpdates"]))
    async with running(system_settings, working=False) as system:
        said = await asyncio.gather(
            *(system.say(f"Message {number}", "session_crowd", wait=False) for number in range(in_flight + 10))
        )
        assert {answer.status_code for answer in said} == {202}
    async with running(system_settings) as system:
        session = await until(
            lambda: system.session("session_crowd"),
            lambda it: it["total"] == len(said) and it["status"] == "idle",
            seconds=60,
        )
        assert session["pending"] == 0
        bill = scripted_model.bill()
        assert len(bill) == len(said)
        assert_books_agree(await system.calls(), bill)


async def test_the_end_of_a_session_is_accepted_without_a_worker_and_refuses_what_comes_later(
    system_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.chat.client.RESPONSE_TIMEOUT_S", 1.0)
    async with running(system_settings) as system:
        session_id = (await system.say("Before.")).json()["session_id"]
    async with running(system_settings, working=False) as system:
        ended = await system.http.delete(f"{CHAT}/{session_id}")
        assert (ended.status_code, ended.json()["status"]) == (202, "deleting")
        assert ended.headers["location"] == f"{CHAT}/{session_id}"
        assert (await system.say("After.", session_id, wait=False)).status_code == 202
    async with running(system_settings) as system:
        session = await until(
            lambda: system.session(session_id), lambda it: it["status"] == "ended" and it["total"] == 2, seconds=30
        )
        [before, after] = session["turns"]
        assert (before["status"], after["status"]) == ("completed", "failed")
        assert after["error"] == {"code": "CONFLICT", "message": "this session has ended"}
        assert (await system.http.delete(f"{CHAT}/{session_id}")).status_code == 200


async def test_an_accepted_message_can_be_polled_while_the_worker_is_away(
    system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    async with running(system_settings) as system:
        location = (await system.say("Is it safe?", wait=False)).headers["location"]
    async with running(system_settings, working=False) as system:
        response = await system.http.get(location)
        assert response.status_code == 200, response.text
        assert (response.json()["status"], response.json()["pending"]) == ("running", 1)
    async with running(system_settings) as system:
        session = await system.settled(location.rpartition("/")[2])
        assert [turn["status"] for turn in session["turns"]] == ["completed"]


async def test_a_caller_is_answered_though_the_database_was_away_meanwhile(
    system: System, system_settings: Settings, postgres_server: str, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 0.4})
    first = (await system.say("Hello.")).json()
    saying = asyncio.create_task(system.say("Be slow.", first["session_id"]))
    await scripted_model.until(lambda bill: len(bill) == 2)
    with database_away(postgres_server, system_settings.database_url or ""):
        await scripted_model.until(lambda bill: bill[-1]["state"] == "finished")
        await asyncio.sleep(1)
        assert not saying.done()
    response = await saying
    assert (response.status_code, response.json()["turn"]) == (200, 2), response.text
    assert_books_agree(await system.calls(), scripted_model.bill())


async def test_a_message_accepted_before_the_database_went_is_answered_after(
    system: System, system_settings: Settings, postgres_server: str, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 0.4, "times": None})
    session_id = (await system.say("Be slow, 1.", wait=False)).json()["session_id"]
    assert (await system.say("Be slow, 2.", session_id, wait=False)).status_code == 202
    with database_away(postgres_server, system_settings.database_url or ""):
        await asyncio.sleep(1)
    session = await until(
        lambda: system.session(session_id), lambda it: len(it["turns"]) == 2 and it["status"] == "idle", seconds=30
    )
    assert [turn["status"] for turn in session["turns"]] == ["completed", "completed"]
    assert_books_agree(await system.calls(), scripted_model.bill())
