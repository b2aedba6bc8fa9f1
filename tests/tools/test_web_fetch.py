"""Reading the web: what is reached, what is refused, and where it stops. The web is a real server on loopback."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from adapters.web.address_guard import AddressForbidden, AddressRules, CheckedResolver, is_public, lookup
from adapters.web.fetch import MAX_BYTES, WebFetch
from adapters.web.guarded_session import MAX_REDIRECTS
from domain.tools.ports import ToolFailed, ToolResult
from tests.tools.calls import CONTEXT

LOOPBACK = "127.0.0.1"
PAGE = "<html><head><title>A page</title><script>run()</script></head><body><h1>Hello</h1><p>World</p></body></html>"


@dataclass
class Web:
    """A server, and a reader that trusts it. `names` are what names are looked up as, in turn."""

    port: int
    seen: list[web.Request]
    names: dict[str, list[list[str]]] = field(default_factory=dict)
    lookups: list[str] = field(default_factory=list)

    def url(self, path: str = "/page", host: str = LOOPBACK) -> str:
        return f"http://{host}:{self.port}{path}"

    async def find(self, host: str, port: int) -> list[str]:
        self.lookups.append(host)
        answers = self.names.get(host)
        if answers is None:
            return await lookup(host, port)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def fetch(self, url: str, *, patience_s: float = 5, trusted: bool = True) -> ToolResult:
        tool = WebFetch([(LOOPBACK, self.port)] if trusted else [], self.find, patience_s=patience_s)
        return await tool.call({"url": url}, CONTEXT)

    async def refused(self, url: str, **more: object) -> str:
        with pytest.raises(ToolFailed) as caught:
            await self.fetch(url, **more)  # type: ignore[arg-type]
        assert not caught.value.unknown
        return str(caught.value)


async def page(_: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


async def redirect(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": request.query["to"]})


async def around(_: web.Request) -> web.Response:
    return web.Response(status=307, headers={"Location": "/around"})


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def dripping(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.02)


async def big(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    for _ in range(400):
        await response.write(b"x" * 64 * 1024)
    return response


async def bomb(_: web.Request) -> web.Response:
    body = gzip.compress(b"0" * 50 * MAX_BYTES)
    return web.Response(body=body, headers={"Content-Type": "text/plain", "Content-Encoding": "gzip"})


async def broken(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.abort()
    return response


async def as_is(request: web.Request) -> web.Response:
    query = request.query
    headers = {"Content-Type": query["type"]} if "type" in query else {}
    return web.Response(
        status=int(query.get("status", "200")), body=bytes.fromhex(query.get("hex", "")), headers=headers
    )


def app(seen: list[web.Request]) -> web.Application:
    @web.middleware
    async def noticed(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        seen.append(request)
        return await handler(request)

    made = web.Application(middlewares=[noticed])
    handlers = [page, redirect, around, slow, dripping, big, bomb, broken, as_is]
    made.add_routes([web.get(f"/{handler.__name__}", handler) for handler in handlers])
    return made


@pytest.fixture
async def server() -> AsyncIterator[Web]:
    seen: list[web.Request] = []
    runner = web.AppRunner(app(seen), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, LOOPBACK, 0)
    await site.start()
    port = runner.addresses[0][1]
    yield Web(port, seen)
    await runner.cleanup()


async def test_a_page_is_told_as_text_with_its_address_status_and_title(server: Web) -> None:
    result = await server.fetch(server.url("/page#part"))
    assert result.text == f"URL: {server.url('/page#part')}\nStatus: 200\nTitle: A page\n\nHello\n\nWorld"
    assert result.sources == (server.url(),)


async def test_nothing_of_ours_is_told_to_the_page(server: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    await server.fetch(server.url())
    headers = server.seen[0].headers
    assert headers["User-Agent"] == "Convergio (web_fetch)"
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)


async def test_a_name_is_looked_up_once_and_reached_where_it_was_found(server: Web) -> None:
    server.names["a.example"] = [[LOOPBACK], ["10.0.0.1"]]
    await server.fetch(server.url(host="a.example"))
    assert server.lookups == ["a.example"]
    assert server.seen[0].headers["Host"] == f"a.example:{server.port}"


async def test_a_name_that_changes_its_address_after_a_look_reaches_nothing(server: Web) -> None:
    server.names["a.example"] = [[LOOPBACK], ["127.0.0.2"]]
    url = server.url(f"/redirect?to=http://a.example:{server.port}/page", host="a.example")
    assert "not on the public web" in await server.refused(url)
    assert [request.path for request in server.seen] == ["/redirect"]


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["169.254.169.254"]])
async def test_a_name_with_any_address_that_is_not_public_is_refused(server: Web, addresses: list[str]) -> None:
    server.names["a.example"] = [addresses]
    assert await server.refused("http://a.example/") == "a.example is not on the public web, so it is not fetched."


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",  # noqa: S104  (asked for, not bound to)
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "localhost",
        "127.0.0.1.",
        "127。0。0。1",
    ],
)
async def test_addresses_of_this_machine_and_its_network_are_refused(server: Web, host: str) -> None:
    for path in (f"http://{host}/", f"https://{host}/", f"http://{host}:80/page"):
        assert "not on the public web" in await server.refused(path, trusted=False)
    assert server.seen == []


@pytest.mark.parametrize("path", ["http://127.0.0.1:{port}/page", "http://localhost:{port}/page"])
async def test_a_redirect_to_this_machine_is_refused(server: Web, path: str) -> None:
    async with other_server() as other:
        told = await server.refused(server.url(f"/redirect?to={path.format(port=other.port)}"))
        assert "Port" in told
        for port in (80, 443):
            assert "public web" in await server.refused(server.url(f"/redirect?to={path.format(port=port)}"))
        assert other.seen == []


class other_server:  # noqa: N801  (used as a function)
    """A second server on loopback, which nobody trusts."""

    async def __aenter__(self) -> Web:
        seen: list[web.Request] = []
        self.runner = web.AppRunner(app(seen))
        await self.runner.setup()
        await web.TCPSite(self.runner, LOOPBACK, 0).start()
        return Web(self.runner.addresses[0][1], seen)

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()


async def test_redirects_are_followed_and_the_last_address_is_told(server: Web) -> None:
    result = await server.fetch(server.url("/redirect?to=/page"))
    assert f"URL: {server.url()}\n" in result.text
    assert result.sources == (server.url(),)


async def test_redirects_without_end_are_left(server: Web) -> None:
    assert f"more than {MAX_REDIRECTS} times" in await server.refused(server.url("/around"))


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://example.org/", "http://me:secret@example.org/", "http://[::"]
)
async def test_a_redirect_is_checked_like_the_first_address(server: Web, to: str) -> None:
    told = await server.refused(server.url(f"/redirect?to={to}"))
    assert "Only http" in told or "password" in told or "no address" in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("file:///etc/passwd", "Only http:// and https://"),
        ("example.org", "Only http:// and https://"),
        ("javascript:alert(1)", "Only http:// and https://"),
        ("http://", "Only http:// and https://"),
        ("http://me:secret@example.org/", "must not hold a user name or a password"),
        ("http://me@example.org/", "must not hold a user name or a password"),
        ("http://example.org:8080/", "Port 8080 is not one of the web"),
        ("http://example.org:22/", "Port 22 is not one of the web"),
        ("http://[::1/", "not an address"),
        ("http://example.org:99999/", "not an address"),
    ],
)
async def test_what_is_no_address_of_the_web_is_refused(server: Web, url: str, told: str) -> None:
    assert told in await server.refused(url)
    assert server.lookups == []


async def test_a_name_that_nobody_has_is_told(server: Web) -> None:
    server.names["nobody.example"] = [[]]
    assert "could not be fetched" in await server.refused("http://nobody.example/")
    assert "could not be fetched" in await server.refused(f"http://{'a' * 70}.example/")


@pytest.mark.parametrize("path", ["/slow", "/dripping"])
async def test_a_page_that_takes_too_long_is_left(server: Web, path: str) -> None:
    assert "within 0.3 seconds" in await server.refused(server.url(path), patience_s=0.3)


async def test_a_page_that_is_too_big_is_cut_and_says_so(server: Web) -> None:
    result = await server.fetch(server.url("/big"))
    assert f"Cut: only the first {MAX_BYTES:,} bytes were read" in result.text
    assert result.text.count("x") <= MAX_BYTES + 10


async def test_a_small_body_that_unpacks_to_a_big_one_is_cut(server: Web) -> None:
    assert "Cut: only the first" in (await server.fetch(server.url("/bomb"))).text


async def test_a_page_that_breaks_off_is_told(server: Web) -> None:
    assert "could not be fetched" in await server.refused(server.url("/broken"))


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "application/octet-stream", "video/mp4", "font/woff"])
async def test_what_is_no_text_is_refused(server: Web, kind: str) -> None:
    assert f"is {kind}, and only text can be read" in await server.refused(server.url(f"/as_is?type={kind}"))


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/ld%2Bjson", "application/atom%2Bxml"])
async def test_text_is_told_as_it_is(server: Web, kind: str) -> None:
    result = await server.fetch(server.url(f"/as_is?type={kind}&hex={b'<b>1</b>'.hex()}"))
    assert result.text.endswith("Status: 200\n\n<b>1</b>")


async def test_text_is_read_in_the_charset_that_is_named(server: Web) -> None:
    accents = "é".encode("latin-1").hex()
    assert "é" in (await server.fetch(server.url(f"/as_is?type=text/plain;charset=latin-1&hex={accents}"))).text
    meta = b"<meta charset='iso-8859-1'>".hex()
    assert "é" in (await server.fetch(server.url(f"/as_is?type=text/html&hex={meta}{accents}"))).text
    for charset in ("no-such", "hex", "utf-8"):
        assert "�" in (await server.fetch(server.url(f"/as_is?type=text/plain;charset={charset}&hex={accents}"))).text


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
async def test_an_error_of_the_page_is_an_error_of_the_call(server: Web, status: int) -> None:
    assert f"answered with status {status}" in await server.refused(
        server.url(f"/as_is?type=text/html&status={status}")
    )


async def test_an_empty_page_says_so(server: Web) -> None:
    assert (await server.fetch(server.url("/as_is?type=text/html"))).text.endswith("(no text)")


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8"],
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "240.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "192.0.0.192",
        "168.63.129.16",
        "64:ff9b::7f00:1",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "fec0::1",
        "ff02::1",
        "fe80::1%eth0",
        "2606:2800:220:1::1%eth0",
        "::127.0.0.1",
        "not an address",
        "",
    ],
)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses())
def test_no_address_that_the_registries_hold_back_is_public(address: object) -> None:
    parsed = ip_address(str(address))
    if parsed.is_private or parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_reserved:
        mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
        assert not is_public(str(parsed)) or (mapped is not None and is_public(str(mapped)))


async def test_only_checked_addresses_are_given_to_the_connector() -> None:
    async def find(host: str, port: int) -> list[str]:
        return ["8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946"]

    given_out = await CheckedResolver(AddressRules(), find).resolve("a.example", 443)
    assert [result["host"] for result in given_out] == await find("a.example", 443)
    with pytest.raises(AddressForbidden):
        await CheckedResolver(AddressRules(), find).resolve("a.example", 8080)
