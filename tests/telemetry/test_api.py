"""Telemetry over HTTP: whole requests or none, duplicates, CloudEvents, back-pressure, figures."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client import CollectorRegistry

from adapters.postgres.telemetry.store import PostgresTelemetryStore
from api.http.request_context import RequestContext
from api.telemetry import service
from api.telemetry.metrics import IntakeMetrics
from api.telemetry.service import TelemetryIntake
from domain.errors import RateLimited, Unavailable
from tests.system import OF_ACME, OF_ZETA, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = "/telemetry/events"
REFERENCE = {
    "event_type": "agent_response",
    "agent_id": "ali_chief_of_staff",
    "duration_ms": 1234,
    "tokens_used": 567,
    "success": True,
    "metadata": {"model": "gpt-4", "temperature": 0.7},
}


def unique() -> str:
    return f"type-{uuid4().hex}"


async def send(system: System, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, str) else json.dumps(body)
    given = {"content-type": "application/json", **OF_ACME, **headers}
    return await system.http.post(EVENTS, content=content, headers=given)


async def figures(system: System, **query: str) -> dict[str, Any]:
    answer = await system.http.get("/telemetry/metrics", params=query, headers=OF_ACME)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def stored(system: System, event_type: str) -> list[tuple[Any, ...]]:
    statement = (
        b"SELECT agent_id, duration_ms, tokens_used, success, metadata, at FROM telemetry_events WHERE event_type = %s"
    )

    def ask() -> list[tuple[Any, ...]]:
        with system.parts.database.connection() as connection:
            return connection.execute(statement, (event_type,)).fetchall()

    return await asyncio.to_thread(ask)


async def test_the_event_of_the_reference_is_accepted_and_counted_at_once(shared: System) -> None:
    name = unique()
    answer = await send(shared, {**REFERENCE, "event_type": name})
    assert answer.status_code == 202
    assert answer.json() == {"status": "accepted", "accepted": 1, "duplicates": 0}
    found = await figures(shared, type=name, window="1h")
    assert found["totals"] == {
        "count": 1,
        "successes": 1,
        "failures": 0,
        "success_rate": 1.0,
        "duration_ms": {"count": 1, "total": 1234.0, "avg": 1234.0, "max": 1234.0, **found_quantiles(found, 1234)},
        "tokens_used": {"count": 1, "total": 567.0, "avg": 567.0, "max": 567.0, **quantiles(found, "tokens_used", 567)},
    }
    assert [(each["event_type"], each["agent_id"], each["count"]) for each in found["data"]] == [
        (name, "ali_chief_of_staff", 1)
    ]
    assert (found["window"], found["interval"], found["total"]) == ("1h", "1m", 1)
    assert sum(point["count"] for point in found["series"]) == 1
    assert len(found["series"]) in {61, 62}


def found_quantiles(found: dict[str, Any], value: float) -> dict[str, float]:
    return quantiles(found, "duration_ms", value)


def quantiles(found: dict[str, Any], figure: str, value: float) -> dict[str, float]:
    """The quantiles that were answered, once they are known to be near the value."""
    shown = {name: found["totals"][figure][name] for name in ("p50", "p95", "p99")}
    assert all(0.99 * value <= each <= value for each in shown.values()), shown
    return shown


async def test_a_batch_counts_each_event_once_and_says_what_it_had_before(shared: System) -> None:
    name = unique()
    events = [
        {"event_type": name, "event_id": str(n), "duration_ms": n + 1, "success": n % 4 != 0} for n in range(1000)
    ]
    first, again = await send(shared, events), await send(shared, [*events[500:], {"event_type": name}])
    assert first.json() == {"status": "accepted", "accepted": 1000, "duplicates": 0}
    assert again.json() == {"status": "accepted", "accepted": 1, "duplicates": 500}
    totals = (await figures(shared, type=name))["totals"]
    assert (totals["count"], totals["success_rate"]) == (1001, 0.75)
    for share, true in (("p50", 500), ("p95", 950), ("p99", 990)):
        assert abs(totals["duration_ms"][share] - true) <= 0.01 * true
    assert len(await stored(shared, name)) == 1001


async def test_a_batch_with_bad_events_is_refused_as_a_whole_and_names_each(shared: System) -> None:
    name, past = unique(), (datetime.now(UTC) - timedelta(days=8)).isoformat()
    good: dict[str, Any] = {"event_type": name}
    wrong: dict[int, dict[str, Any]] = {
        1: {"event_type": ""},
        3: {**good, "duration_ms": -1, "other": 1},
        4: {**good, "tokens_used": 10**13},
        6: {**good, "metadata": {"text": "x" * 9000}},
    }
    answer = await send(shared, [wrong.get(n, good) for n in range(7)])
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["details"]["events"] == [1, 3, 4]
    assert {each["field"] for each in error["details"]["errors"]} == {
        "1.event_type",
        "3.duration_ms",
        "3.other",
        "4.tokens_used",
    }
    late = await send(shared, [good, {**good, "timestamp": past}, wrong[6]])
    assert late.json()["error"]["details"]["events"] == [1, 2]
    assert await stored(shared, name) == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("[]", 422),
        ("5", 422),
        ("null", 422),
        ("", 422),
        ("[1", 400),
        ('{"event_type": "a\\u0000"}', 422),
        ('{"event_type": "a\\ud800"}', 400),
        ('{"event_type": "a", "tokens_used": 1e400}', 400),
        ('{"event_type": "a", "tokens_used": 99999999999999999999999999}', 422),
        ('{"event_type": "a", "duration_ms": NaN}', 400),
        ('{"event_type": "a", "timestamp": "0001-01-01T00:00:00+14:00"}', 422),
        ('{"event_type": "a", "timestamp": "9999-12-31T23:59:59-12:00"}', 422),
        ('{"event_type": "a", "timestamp": "2026-11-28T10:00:00"}', 422),
        ('{"event_type": "a", "metadata": {"n": 99999999999999999999999999, "deep": [[[]]]}}', 202),
        (json.dumps([{"event_type": "a"}] * 1001), 422),
    ],
)
async def test_what_is_no_event_is_refused_clearly(shared: System, body: str, status: int) -> None:
    answer = await send(shared, body)
    assert answer.status_code == status, answer.text


async def test_the_fault_of_a_single_event_is_named_without_an_index(shared: System) -> None:
    error = (await send(shared, {"event_type": "a", "duration_ms": -1})).json()["error"]
    assert (error["details"]["field"], error["details"]["events"]) == ("duration_ms", [0])
    assert error["message"].startswith("1 of 1 events")


async def test_a_thousand_events_of_usual_size_fit_a_request(shared: System) -> None:
    name = unique()
    event = {**REFERENCE, "event_type": name, "metadata": {"text": "x" * 700}}
    answer = await send(shared, [{**event, "event_id": str(n)} for n in range(1000)])
    assert answer.status_code == 202, answer.text


async def test_a_repeat_under_an_idempotency_key_counts_nothing_again(shared: System) -> None:
    name, key = unique(), {"idempotency-key": unique()}
    body = [{"event_type": name}, {"event_type": name}]
    first, again = await send(shared, body, **key), await send(shared, body, **key)
    assert first.json()["accepted"] == 2
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    with_others = await send(shared, [{"event_type": unique()}], **key)
    assert with_others.status_code == 409
    await asyncio.to_thread(forget_answers, shared)
    lost = await send(shared, body, **key)
    assert lost.json() == {"status": "accepted", "accepted": 0, "duplicates": 2}, (
        "the answer was lost, the work was not"
    )
    assert len(await stored(shared, name)) == 2


def forget_answers(system: System) -> None:
    with system.parts.database.connection() as connection:
        connection.execute("DELETE FROM http_idempotency")


async def test_cloud_events_are_taken_in_all_three_modes(shared: System) -> None:
    name = unique()
    when = datetime.now(UTC) - timedelta(hours=1)
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": "/a",
        "type": name,
        "time": when.isoformat(),
        "subject": "amy",
        "traceparent": "00-1",
        "data": {"duration_ms": 5, "success": False, "note": "n", "metadata": {"m": 1}},
    }
    structured = await send(shared, event, **{"content-type": "application/cloudevents+json; charset=utf-8"})
    batch = [event, {**event, "source": "/b", "data": [1], "subject": None}]
    batched = await send(shared, batch, **{"content-type": "application/cloudevents-batch+json"})
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/c", "ce-type": name, "ce-subject": "J%C3%B6rg"}
    binary = await send(shared, {"tokens_used": 7}, **headers)
    assert [each.json().get("accepted") for each in (structured, batched, binary)] == [1, 1, 1]
    assert batched.json()["duplicates"] == 1
    found = sorted(await stored(shared, name), key=repr)
    assert [row[:4] for row in found] == [("", None, None, None), ("Jörg", None, 7, None), ("amy", 5.0, None, False)]
    assert json.loads(found[2][4]) == {"traceparent": "00-1", "note": "n", "m": 1}
    assert json.loads(found[0][4]) == {"traceparent": "00-1", "data": [1]}
    assert found[2][5] == when


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"content-type": "application/cloudevents+json"}, {"specversion": "0.3", "id": "1"}, 422),
        ({"content-type": "application/cloudevents+json"}, {}, 422),
        ({"content-type": "application/cloudevents-batch+json"}, [{"specversion": "1.0"}, 4], 422),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a"}, {}, 422),
        ({"ce-specversion": "1.0", "ce-id": "%00", "ce-type": "a", "ce-source": "b"}, {}, 422),
        ({"ce-specversion": "1.0", "ce-id": "%ff", "ce-type": "a", "ce-source": "b"}, {}, 400),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-type": "a", "ce-source": "b"}, {"duration_ms": "long"}, 422),
        ({"content-type": "application/xml"}, "<a/>", 415),
    ],
)
async def test_what_is_no_cloud_event_is_refused(
    shared: System, headers: dict[str, str], body: Any, status: int
) -> None:
    answer = await send(shared, body, **headers)
    assert answer.status_code == status, answer.text


async def test_a_repeated_attribute_is_refused(shared: System) -> None:
    headers = [("content-type", "application/json"), ("ce-id", "1"), ("ce-id", "2")]
    answer = await shared.http.post(EVENTS, content="{}", headers=headers)
    assert answer.status_code == 400


async def test_a_tenant_reads_its_own_telemetry_only(shared: System) -> None:
    name = unique()
    await send(shared, {"event_type": name})
    found = await shared.http.get("/telemetry/metrics", params={"type": name}, headers=OF_ZETA)
    assert (found.json()["totals"]["count"], found.json()["data"]) == (0, [])
    assert found.json()["totals"]["success_rate"] is None


async def test_types_and_agents_are_listed_in_pages(shared: System) -> None:
    name = unique()
    await send(shared, [{"event_type": name, "agent_id": f"agent-{n}"} for n in (2, 0, 1)])
    page = await figures(shared, type=name, skip="1", limit="1")
    assert [each["agent_id"] for each in page["data"]] == ["agent-1"]
    assert page["pagination"] == {"total": 3, "skip": 1, "limit": 1, "has_next": True, "has_prev": True}
    assert page["totals"]["count"] == 3


@pytest.mark.parametrize(
    "query",
    [
        {"window": "2h"},
        {"interval": "5m"},
        {"window": "7d", "interval": "1m"},
        {"to": "2026-11-28T00:00:00Z"},
        {"from": "2026-11-28T00:00:00Z", "window": "1h"},
        {"from": "2026-11-28T00:00:00Z", "to": "2026-11-27T00:00:00Z"},
        {"from": "0001-01-01T00:00:00%2B14:00"},
        {"from": "2026-11-28T00:00:00"},
        {"type": ""},
        {"limit": "0"},
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(shared: System, query: dict[str, str]) -> None:
    answer = await shared.http.get("/telemetry/metrics", params=query, headers=OF_ACME)
    assert answer.status_code == 422, answer.text


class SlowStore(PostgresTelemetryStore):
    """A store whose database does not answer until it is told to."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.recorded = 0

    def record(self, tenant_id: str, events: Any, received: datetime) -> int:
        asyncio.run_coroutine_threadsafe(self.free.wait(), self.loop).result()
        self.recorded += len(events)
        return len(events)


def request_of(body: Any) -> RequestContext:
    request = RequestContext({"headers": [], "method": "POST", "path": EVENTS})
    request.body, request.json = json.dumps(body).encode(), body
    return request


async def test_more_than_can_wait_is_refused_and_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_PENDING", 5)
    store = SlowStore()
    intake = TelemetryIntake(
        store, IntakeMetrics(CollectorRegistry()), lambda: datetime.now(UTC), oldest=timedelta(days=7)
    )
    tasks = [asyncio.create_task(intake.accept(request_of({"event_type": "a"}), None)) for _ in range(8)]
    done, pending = await asyncio.wait(tasks, timeout=0.5)
    assert len(done) == 3
    assert all(isinstance(task.exception(), RateLimited) for task in done)
    store.free.set()
    assert [each.accepted for each in await asyncio.gather(*pending)] == [1] * 5
    assert store.recorded == 5
    assert (await intake.accept(request_of([{"event_type": "a"}]), None)).accepted == 1, "what is done makes room"
    intake.close()


async def test_a_request_that_waits_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_WAIT_S", 0.1)
    store = SlowStore()
    intake = TelemetryIntake(
        store, IntakeMetrics(CollectorRegistry()), lambda: datetime.now(UTC), oldest=timedelta(days=7)
    )
    tasks = [asyncio.create_task(intake.accept(request_of({"event_type": "a"}), None)) for _ in range(3)]
    await asyncio.sleep(0.3)
    store.free.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each).__name__ for each in found] == ["AcceptedTelemetry", "AcceptedTelemetry", "RateLimited"]
    assert store.recorded == 2
    intake.close()


async def test_without_a_database_telemetry_is_refused_with_503(
    shared: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise Unavailable("the database cannot be reached", retry_after=2)

    monkeypatch.setattr(PostgresTelemetryStore, "record", away)
    answer = await send(shared, {"event_type": "a"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
