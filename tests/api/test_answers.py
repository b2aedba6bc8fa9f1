"""What every answer has: headers, the envelope for who asks, pages, versions, exact money, a log line, a count."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter
from structlog.testing import capture_logs

from api.http.schemas import Money, Timestamp
from tests.api.toy import Toy, client, refused, toy_app

URL = "/api/v1/things"
VENDOR = "application/vnd.convergio.envelope+json"


async def get(path: str, **headers: str) -> httpx.Response:
    async with client(toy_app()) as api:
        return await api.get(path, headers=headers)


async def test_answers_are_exactly_the_documented_body_unless_the_envelope_is_asked_for() -> None:
    plain = (await get(URL + "/7")).json()
    assert set(plain) == {"id", "name", "version", "price", "created_at"}
    by_query, by_type = await get(URL + "/7?envelope=true"), await get(URL + "/7", accept=VENDOR)
    for answer in (by_query, by_type):
        envelope = answer.json()
        assert set(envelope) == {"success", "data", "timestamp", "request_id"}
        assert envelope["success"] is True
        assert envelope["data"] == plain
        assert envelope["request_id"] == answer.headers["x-request-id"]
    assert by_type.headers["content-type"] == VENDOR
    assert "success" not in (await get(URL + "/7?envelope=false")).json()


async def test_the_envelope_holds_any_request_id() -> None:
    answer = await get(URL + "/7?envelope=true", **{"x-request-id": 'a"b\\c'})
    assert answer.json()["request_id"] == 'a"b\\c'


async def test_the_envelope_goes_around_answers_in_pieces_and_not_around_refusals_or_pages() -> None:
    assert (await get(URL + "/stream?envelope=true")).json()["data"] == {"pieces": 2}
    refused(await get(URL + "/404?envelope=true"), 404, "NOT_FOUND")
    assert (await get("/docs?envelope=true")).text.lstrip().startswith("<!DOCTYPE html>")


async def test_every_answer_has_the_security_headers() -> None:
    for path in (URL + "/7", "/api/v1/nothing", URL + "/fail/bug", "/health", "/docs"):
        headers = (await get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert len(headers.get_list("content-security-policy")) == 1
        assert "strict-transport-security" not in headers


async def test_https_answers_ask_for_https_from_now_on() -> None:
    async with client(toy_app(), base="https://localhost:8000") as api:
        assert "max-age" in (await api.get(URL + "/7")).headers["strict-transport-security"]


async def test_a_page_says_where_it_lies() -> None:
    first, middle, last = [(await get(f"{URL}?skip={skip}")).json() for skip in (0, 100, 200)]
    assert first["things"][0]["id"] == 1
    assert (first["total"], first["skip"], first["limit"]) == (250, 0, 100)
    assert first["pagination"] == {"total": 250, "skip": 0, "limit": 100, "has_next": True, "has_prev": False}
    assert (middle["pagination"]["has_next"], middle["pagination"]["has_prev"]) == (True, True)
    assert (last["pagination"]["has_next"], last["pagination"]["has_prev"]) == (False, True)


@pytest.mark.parametrize("query", ["skip=-1", "limit=0", "limit=1001", "skip=9223372036854775807", "skip=x"])
async def test_pages_are_bounded(query: str) -> None:
    refused(await get(f"{URL}?{query}"), 422, "VALIDATION_ERROR")


@pytest.mark.parametrize("given", ['"3"', 'W/"3"', '"1", "3"', "*", None])
async def test_a_change_meant_for_the_version_that_stands_goes_through(given: str | None) -> None:
    async with client(toy_app()) as api:
        assert (await api.get(URL + "/7")).headers["etag"] == '"3"'
        answer = await api.delete(URL + "/7", headers={"if-match": given} if given else {})
    assert answer.json() == {"id": "7", "status": "deleted"}


@pytest.mark.parametrize("given", ['"2"', 'W/"2"', '"1", "2"', "3", "garbage", "", '"99999999999999999999999"'])
async def test_a_change_meant_for_another_version_is_refused(given: str) -> None:
    async with client(toy_app()) as api:
        refused(await api.delete(URL + "/7", headers={"if-match": given}), 412, "PRECONDITION_FAILED")


class Behind:
    async def wait(self, projection: str) -> bool:
        return projection != "things"


async def test_a_read_that_could_not_wait_long_enough_says_so() -> None:
    async with client(toy_app(positions=Behind())) as api:
        assert (await api.get(URL)).headers["x-convergio-stale"] == "true"
    assert "x-convergio-stale" not in (await get(URL)).headers


@pytest.mark.parametrize(
    ("amount", "shown"),
    [("1.23456789", b"1.234568"), ("245.67", b"245.67"), ("0", b"0.0"), ("123456789.123456", b"123456789.123456")],
)
def test_money_is_a_number_with_up_to_six_decimals(amount: str, shown: bytes) -> None:
    assert TypeAdapter(Money).dump_json(Decimal(amount)) == shown


def test_times_are_shown_in_utc_with_a_z() -> None:
    local = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    assert TypeAdapter(Timestamp).dump_json(local) == b'"2026-01-02T02:04:05Z"'
    assert TypeAdapter(Timestamp).dump_json(datetime(2026, 1, 1, tzinfo=UTC)) == b'"2026-01-01T00:00:00Z"'


async def test_each_request_is_one_log_line_with_its_route_and_no_path_or_query() -> None:
    async with client(toy_app()) as api:
        with capture_logs() as logs:
            await api.get(URL + "/7?token=secret", headers={"x-request-id": "mine"})
            await api.get("/secret/path")
    line, unknown = logs
    assert {name: line[name] for name in ("event", "method", "route", "status", "caller", "client")} == {
        "event": "request",
        "method": "GET",
        "route": "/api/v1/things/{number}",
        "status": 200,
        "caller": "anonymous",
        "client": "10.0.0.1",
    }
    assert line["duration_ms"] > 0
    assert unknown["route"] == "unmatched"
    assert "secret" not in str(logs)


async def test_figures_count_by_route_and_never_by_path() -> None:
    async with client(toy_app()) as api:
        for number in range(3):
            await api.get(f"{URL}/{number}")
            await api.get(f"/nowhere/{number}")
        await api.request("BREW", URL)
        answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    figures = answer.text
    assert 'convergio_http_requests_total{method="GET",route="/api/v1/things/{number}",status="200"} 3.0' in figures
    assert 'convergio_http_requests_total{method="GET",route="unmatched",status="404"} 3.0' in figures
    assert 'method="OTHER"' in figures
    assert "BREW" not in figures
    assert "convergio_http_requests_in_flight 1.0" in figures
    assert 'convergio_http_request_seconds_bucket{le="0.005",method="GET",route="/api/v1/things/{number}"}' in figures
    assert "nowhere" not in figures


async def test_requests_at_the_same_time_keep_their_ids_apart() -> None:
    async with client(toy_app()) as api:

        async def ask(name: str) -> Any:
            return (await api.get(URL + "/who", headers={"x-request-id": name})).json()["request_id"]

        names = [f"r{n}" for n in range(50)]
        assert await asyncio.gather(*map(ask, names)) == names


async def test_a_client_that_leaves_in_mid_body_is_no_accident() -> None:
    toy = Toy()
    app, sent = toy_app(toy), list[Any]()

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": URL, "query_string": b"", "scheme": "http", "client": None}
    with capture_logs() as logs:
        await app({**scope, "headers": [(b"host", b"localhost")]}, receive, send)
    assert sent == []
    assert toy.made == 0
    assert [(line["event"], line["status"]) for line in logs] == [("request", 499)]


async def test_head_is_get_without_the_body() -> None:
    async with client(toy_app()) as api:
        head, got = await api.head(URL + "/7"), await api.get(URL + "/7")
        missing = await api.head("/api/v1/nothing")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-length", "content-type"):
        assert head.headers[name] == got.headers[name]
    assert (missing.status_code, missing.content) == (404, b"")
