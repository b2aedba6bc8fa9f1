"""The official client as providers are called with it: what it sends, what it ignores, and what it bounds."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from adapters.openai import transport
from adapters.openai.model import OpenAIModel
from domain.chat.model_port import ModelFailure
from tests.models.conftest import KEY, asking

ANSWER = b'data: {"id":"c","choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
SENT = {"host", "accept", "accept-encoding", "content-type", "user-agent", "connection", "content-length"} | {
    *("authorization", "x-client-request-id", "x-stainless-retry-count", "x-stainless-read-timeout")
}


class Provider:
    """Answers everything alike and keeps what was asked."""

    def __init__(self, *, status: int = 200, body: bytes = ANSWER, headers: dict[str, str] | None = None) -> None:
        self.requests: list[web.Request] = []
        self._response = (status, body, headers or {})

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        self.requests.append(request)
        status, body, headers = self._response
        return web.Response(status=status, body=body, headers=headers)


@asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(speak: Callable[[asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that reads a request and does as it is told until the client has gone."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            await speak(writer)
        writer.close()
        served.set()

    served = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await served.wait()
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def calling(base_url: str, key: str | None = KEY) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel(base_url, key, "scripted", timeout_s=5)
    try:
        yield model
    finally:
        await model.aclose()


async def ask(model: OpenAIModel) -> str:
    return (await model.complete(asking(), lambda _: None)).text


@pytest.mark.parametrize("base", ["/v1", "/v1/", "", "/deep/er/v1"])
async def test_paths_are_joined_to_the_base_url(base: str) -> None:
    provider = Provider()
    async with serving(provider) as url, calling(url + base) as model:
        assert await ask(model) == "hi"
        await model.probe()
    expected = base.rstrip("/")
    assert [request.path_qs for request in provider.requests] == [f"{expected}/chat/completions", f"{expected}/models"]


async def test_a_base_url_of_azure_keeps_its_version_and_its_key_has_a_header_of_its_own() -> None:
    provider = Provider()
    base = "/openai/deployments/ours?api-version=2024-10-21"
    async with serving(provider) as url, calling(url + base) as model:
        assert await ask(model) == "hi"
        await model.probe()
    first, second = provider.requests
    assert first.path_qs == "/openai/deployments/ours/chat/completions?api-version=2024-10-21"
    assert second.path_qs == "/openai/deployments/ours/models?api-version=2024-10-21"
    assert all(request.headers["api-key"] == KEY for request in provider.requests)
    assert not any("Authorization" in request.headers for request in provider.requests)


async def test_the_environment_of_the_sdk_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    away = "http://127.0.0.1:9"
    odd = {
        "OPENAI_API_KEY": "sk-of-somebody",
        "OPENAI_ADMIN_KEY": "sk-admin",
        "OPENAI_ORG_ID": "org-x",
        "OPENAI_PROJECT_ID": "proj-x",
        "OPENAI_BASE_URL": away,
        "OPENAI_CUSTOM_HEADERS": "X-Odd: 1\nAuthorization: Bearer odd",
        "HTTP_PROXY": away,
        "http_proxy": away,
        "ALL_PROXY": away,
    }
    for name, value in odd.items():
        monkeypatch.setenv(name, value)
    provider = Provider()
    async with serving(provider) as url:
        for key in (KEY, None):
            async with calling(f"{url}/v1", key) as model:
                assert await ask(model) == "hi"
    with_key, without_key = provider.requests
    assert with_key.headers["Authorization"] == f"Bearer {KEY}"
    assert "Authorization" not in without_key.headers
    for request in provider.requests:
        assert {name.lower() for name in request.headers} <= SENT


async def test_cookies_are_not_sent_back() -> None:
    provider = Provider(headers={"Set-Cookie": "who=you; Path=/"})
    async with serving(provider) as url, calling(f"{url.replace('127.0.0.1', 'localhost')}/v1") as model:
        for _ in range(2):
            await ask(model)
    assert len(provider.requests) == 2
    assert not any("Cookie" in request.headers for request in provider.requests)


@pytest.mark.parametrize("location", ["http://[", "ftp://elsewhere/", "/v1/other", "http://127.0.0.1:9/"])
async def test_a_redirect_is_not_followed_wherever_it_points(location: str) -> None:
    provider = Provider(status=307, body=b"", headers={"Location": location})
    async with serving(provider) as url, calling(f"{url}/v1") as model:
        with pytest.raises(ModelFailure) as caught:
            await ask(model)
    assert (caught.value.kind, len(provider.requests)) == ("wrong_path", 1)


@pytest.mark.parametrize("charset", ["zlib", "idna", "none-of-them", "utf-16"])
async def test_a_refusal_is_read_whatever_its_charset(charset: str) -> None:
    body = b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'
    provider = Provider(status=429, body=body, headers={"Content-Type": f"application/json; charset={charset}"})
    async with serving(provider) as url, calling(f"{url}/v1") as model:
        with pytest.raises(ModelFailure, match="slow down"):
            await ask(model)


@pytest.mark.parametrize("pause_s", [0.0, 0.05])
async def test_a_refusal_without_end_is_read_in_part(pause_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "REFUSAL_SECONDS", 0.5)

    async def refuse(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Later\r\nContent-Length: 99999999999\r\n\r\n")
        while True:
            writer.write(b"x" * 2**14)
            await writer.drain()
            await asyncio.sleep(pause_s)

    began = time.monotonic()
    async with speaking(refuse) as url, calling(f"{url}/v1") as model:
        with pytest.raises(ModelFailure) as caught:
            await ask(model)
    assert caught.value.kind == "unavailable"
    assert time.monotonic() - began < 5


async def test_a_server_that_hangs_up_before_its_answer_is_no_timeout() -> None:
    async def hang_up(_: asyncio.StreamWriter) -> None:
        return

    async with speaking(hang_up) as url, calling(f"{url}/v1") as model:
        with pytest.raises(ModelFailure) as caught:
            await ask(model)
    assert (caught.value.kind, caught.value.charge) == ("cut", "possible")


async def test_what_is_no_http_cannot_be_read() -> None:
    async def greet(writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")
        await writer.drain()

    async with speaking(greet) as url, calling(f"{url}/v1") as model:
        with pytest.raises(ModelFailure) as caught:
            await ask(model)
    assert (caught.value.kind, caught.value.charge) == ("unreadable", "possible")


async def test_a_hundred_and_fifty_calls_are_under_way_at_once() -> None:
    under_way, all_there = 0, asyncio.Event()

    async def wait_for_all(request: web.Request) -> web.Response:
        nonlocal under_way
        await request.read()
        under_way += 1
        if under_way == 150:
            all_there.set()
        await all_there.wait()
        return web.Response(body=ANSWER)

    provider = Provider()
    provider.answer = wait_for_all  # type: ignore[method-assign]
    async with serving(provider) as url, calling(f"{url}/v1") as model, asyncio.timeout(20):
        assert await asyncio.gather(*(ask(model) for _ in range(150))) == ["hi"] * 150
