"""Which host names are served, and which web pages may call."""

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from tests.api.toy import client, refused, toy_app

WHO = "/api/v1/things/who"
URL = "/api/v1/things"
PAGE = "https://app.example.com"


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (("localhost",), "localhost"),
        (("localhost",), "LOCALHOST:8000"),
        (("127.0.0.1",), "127.0.0.1:9"),
        (("[::1]",), "[::1]"),
        (("::1",), "[::1]:8000"),
        (("*.example.com",), "api.example.com:443"),
        (("*",), "anything"),
    ],
)
async def test_a_host_that_is_served_is_served_on_any_port(hosts: tuple[str, ...], host: str) -> None:
    async with client(toy_app(allowed_hosts=hosts)) as api:
        assert (await api.get(WHO, headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (("localhost",), "evil.test"),
        (("localhost",), "localhost.evil.test"),
        (("localhost",), "localhost:80:80"),
        (("localhost",), "localhost@evil.test"),
        (("localhost",), ""),
        (("[::1]",), "::1"),
        (("*.example.com",), "example.com"),
        (("*.example.com",), "evilexample.com"),
    ],
)
async def test_any_other_host_is_a_bad_request(hosts: tuple[str, ...], host: str) -> None:
    async with client(toy_app(allowed_hosts=hosts)) as api:
        for path in (WHO, "/health", "/docs"):
            refused(await api.get(path, headers={"host": host}), 400, "BAD_REQUEST")


async def test_an_allowed_page_may_read_answers_and_refusals() -> None:
    async with client(toy_app(cors_origins=(PAGE,), loopback=False)) as api:
        for path, status in ((WHO, 200), ("/api/v1/nothing", 404), ("/api/v1/things/fail/bug", 500)):
            answer = await api.get(path, headers={"origin": PAGE})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert answer.headers["vary"] == "Origin"
            assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


async def test_an_allowed_page_passes_the_preflight() -> None:
    async with client(toy_app(cors_origins=(PAGE,), loopback=False)) as api:
        headers = {"origin": PAGE, "access-control-request-method": "POST"}
        answer = await api.options(URL, headers=headers)
    assert answer.status_code == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    for name in ("Idempotency-Key", "Content-Type", "Authorization"):
        assert name in answer.headers["access-control-allow-headers"]


async def test_any_other_page_gets_no_permission() -> None:
    async with client(toy_app(cors_origins=(PAGE,), loopback=False)) as api:
        for origin in ("https://evil.test", "null", PAGE + ".evil.test", "http://localhost:3000"):
            answer = await api.options(URL, headers={"origin": origin, "access-control-request-method": "POST"})
            refused(answer, 403, "FORBIDDEN")
            read = await api.get(WHO, headers={"origin": origin})
            assert "access-control-allow-origin" not in read.headers


async def test_any_other_page_changes_nothing_even_by_requests_that_need_no_preflight() -> None:
    async with client(toy_app()) as api:
        answer = await api.post("/api/v1/things/admin", headers={"origin": "https://evil.test"})
        refused(answer, 403, "FORBIDDEN")


async def test_pages_of_this_machine_may_call_while_bound_to_loopback() -> None:
    async with client(toy_app()) as api:
        for origin in ("http://localhost:3000", "http://127.0.0.1:8080", "https://[::1]:5173"):
            answer = await api.post("/api/v1/things/admin", headers={"origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin
        refused(
            await api.post("/api/v1/things/admin", headers={"origin": "http://localhost.evil.test"}), 403, "FORBIDDEN"
        )


async def test_the_own_pages_may_call_wherever_they_are_served() -> None:
    app = toy_app(loopback=False, allowed_hosts=("api.example.com",))
    async with client(app, base="https://api.example.com") as api:
        answer = await api.post("/api/v1/things/admin", headers={"origin": "https://api.example.com"})
        assert answer.status_code == 200


async def test_a_star_allows_every_page() -> None:
    async with client(toy_app(cors_origins=("*",))) as api:
        answer = await api.get(WHO, headers={"origin": "https://anywhere.test"})
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_an_options_request_without_an_origin_is_no_preflight() -> None:
    async with client(toy_app()) as api:
        answer = await api.options(URL)
    refused(answer, 405, "METHOD_NOT_ALLOWED")


def test_sockets_are_opened_for_known_hosts_and_pages_only() -> None:
    browser = TestClient(socket_app())
    here = {"host": "localhost:8000"}
    with browser.websocket_connect("/ws", headers={**here, "origin": "http://localhost:3000"}) as socket:
        assert socket.receive_text() == "hello"
    for headers in ({**here, "origin": "https://evil.test"}, {"host": "evil.test"}):
        with (
            pytest.raises((WebSocketDisconnect, WebSocketDenialResponse)),
            browser.websocket_connect("/ws", headers=headers),
        ):
            pass


def socket_app() -> FastAPI:
    app = toy_app()

    @app.websocket("/ws")
    async def hello(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        await socket.close()

    return app
