"""What somebody without a key can make the server hold: little, and not for long."""

import asyncio
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest
import uvicorn

from api.http import server
from api.http.server import MAX_HEAD, BoundedHttpProtocol, max_connections
from tests.api.serve import ROOT
from tests.api.toy import Toy, toy_app
from tests.system import until

URL = "/api/v1/things"
HEAD = b"GET /api/v1/things/7 HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/v1/things HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Client:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, sent: bytes) -> None:
        self._writer.write(sent)
        await self._writer.drain()

    async def status(self) -> int:
        """The status of the next answer; 0 if the connection is closed without one."""
        async with asyncio.timeout(10):
            try:
                line = await self._reader.readline()
                rest = await self._reader.readuntil(b"\r\n\r\n") if line else b""
                size = next(
                    (int(each[15:]) for each in rest.lower().split(b"\r\n") if each.startswith(b"content-length:")), 0
                )
                await self._reader.readexactly(size)
            except (ConnectionError, asyncio.IncompleteReadError):
                return 0
        return int(line.split()[1]) if line else 0

    async def is_dropped(self, sent: bytes, *, times: int, pause_s: float = 0.0) -> bool:
        """Whether the connection ends while this is said again and again."""
        try:
            for _ in range(times):
                await self.say(sent)
                await asyncio.sleep(pause_s)
        except ConnectionError:
            return True
        return False

    def hear_nothing(self) -> None:
        """Read no more from the connection, so that its answers pile up."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def leave(self) -> None:
        self._writer.close()


class Served:
    """The toy, served in this process."""

    def __init__(self, port: int, toy: Toy) -> None:
        self.port = port
        self.toy = toy
        self.clients: list[Client] = []

    async def connect(self, sent: bytes = b"") -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20))
        self.clients.append(client)
        await client.say(sent)
        return client

    async def asked(self, sent: bytes) -> int:
        return await (await self.connect(sent)).status()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    toy = Toy()
    listening = socket.create_server(("127.0.0.1", 0))
    app = toy_app(toy)
    instance = uvicorn.Server(
        uvicorn.Config(app, http=BoundedHttpProtocol, log_config=None, access_log=False, lifespan="off")
    )
    task = asyncio.create_task(instance.serve(sockets=[listening]))
    made = Served(listening.getsockname()[1], toy)
    yield made
    toy.gate.set()
    for client in made.clients:
        client.leave()
    instance.should_exit = True
    await task


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"X-A: " + b"a" * (2 * MAX_HEAD) + b"\r\n\r\n",
        HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(MAX_HEAD // 6)) + b"\r\n",
        b"GET /" + b"a" * (2 * MAX_HEAD) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        HEAD + b"a" * (2 * MAX_HEAD) + b": b\r\n\r\n",
        HEAD + b"X-A: a\r\n" + b" " * (2 * MAX_HEAD) + b"b\r\n\r\n",
    ],
    ids=["a long value", "many headers", "a long target", "a long name", "blanks"],
)
async def test_a_head_has_a_bound_whatever_is_long_in_it(served: Served, sent: bytes) -> None:
    assert await served.asked(sent) in {400, 431}


async def test_a_head_that_never_ends_is_refused_while_it_comes(served: Served) -> None:
    client = await served.connect(HEAD + b"X-A: ")
    assert await client.is_dropped(b"a" * 8192, times=20_000)


async def test_what_follows_the_body_has_a_bound_and_is_no_header(served: Served) -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    trailed = chunked + b'f\r\n{"name":"lamp"}\r\n0\r\nX-API-Key: cvg_wrong\r\n\r\n'
    assert await served.asked(trailed) == 201
    assert await served.asked(chunked + b"0\r\nX-A: " + b"a" * (4 * MAX_HEAD)) in {400, 431}
    assert await served.asked(chunked + b"1;" + b"a" * (8 * MAX_HEAD)) in {400, 431}


async def test_a_head_of_a_browsers_size_is_taken(served: Served) -> None:
    cookies = b"Cookie: " + b"a" * 30_000 + b"\r\n"
    for _ in range(2):
        client = await served.connect(HEAD + cookies + b"\r\n")
        assert await client.status() == 200
        await client.say(HEAD + cookies)  # the same connection, in pieces
        await asyncio.sleep(0.05)
        await client.say(b"\r\n")
        assert await client.status() == 200


async def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    client = await served.connect((HEAD + b"X-A: " + b"a" * 10_000 + b"\r\n\r\n") * 12)
    assert [await client.status() for _ in range(12)] == [200] * 12


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"", 0), (b"G", 408), (HEAD, 408), (HEAD + b"X-A: a", 408), (b"\r\n\r\n", 0), (HEAD + b"\r\n\r\n", 200)],
    ids=["nothing", "a letter", "no end", "half a header", "empty lines", "an empty line too many"],
)
async def test_a_connection_has_a_time_to_say_what_it_wants(
    served: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes, status: int
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.3)
    client, began = await served.connect(sent), time.monotonic()
    assert await client.status() == status
    assert time.monotonic() - began < 5


async def test_letters_one_by_one_win_no_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.5)
    client = await served.connect(HEAD + b"X-A: ")
    assert await client.is_dropped(b"a", times=200, pause_s=0.05)


async def test_a_body_has_a_time_to_come(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_TIMEOUT_S", 0.3)
    assert await served.asked(POST + b"Content-Length: 15\r\n\r\n{") == 408
    assert await served.asked(POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n") == 408
    assert served.toy.made == 0
    assert await served.asked(POST + b'Content-Length: 15\r\n\r\n{"name":"lamp"}') == 201


async def test_an_answer_may_take_longer_than_the_request(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.2)
    served.toy.gate.clear()
    client = await served.connect(POST + b'Content-Length: 15\r\n\r\n{"name":"lamp"}')
    await asyncio.sleep(0.8)
    served.toy.gate.set()
    assert await client.status() == 201


@pytest.mark.parametrize(
    "sent", [b"", HEAD, POST + b"Content-Length: 15\r\n\r\n{"], ids=["silent", "half a head", "no body"]
)
async def test_connections_that_ask_for_nothing_make_room(
    served: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(server, "max_connections", lambda: 20)
    for _ in range(60):
        await served.connect(sent)
    for _ in range(5):
        assert await served.asked(HEAD + b"\r\n") == 200


async def test_whoever_is_being_answered_keeps_the_place(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "max_connections", lambda: 10)
    served.toy.gate.clear()
    body = POST + b'Content-Length: 15\r\n\r\n{"name":"lamp"}'
    busy = [await served.connect(body) for _ in range(8)]
    await asyncio.sleep(0.2)
    for _ in range(40):
        await served.connect(HEAD)
    served.toy.gate.set()
    assert [await client.status() for client in busy] == [201] * 8


async def test_when_all_are_busy_another_one_is_told_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "max_connections", lambda: 5)
    served.toy.gate.clear()
    body = POST + b'Content-Length: 15\r\n\r\n{"name":"lamp"}'
    for _ in range(5):
        await served.connect(body)
    await asyncio.sleep(0.2)
    assert await served.asked(b"") == 503


@pytest.mark.parametrize(("files", "room"), [(300, 180), (64, 32), (1, 1), (1024, 904), (1 << 20, 4096), (-1, 4096)])
def test_connections_leave_files_for_everything_else(monkeypatch: pytest.MonkeyPatch, files: int, room: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    max_connections.cache_clear()
    try:
        assert max_connections() == room
    finally:
        max_connections.cache_clear()


@contextmanager
def with_300_files(redis_url: str, database_url: str) -> Iterator[tuple[str, int]]:
    """The toy as a process that may open 300 files: its address and its number."""
    words = f'ulimit -n 300; exec "{sys.executable}" -m tests.api.serve "{redis_url}" "{database_url}"'
    with subprocess.Popen(["bash", "-c", words], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", process.pid
        finally:
            process.terminate()


def test_900_half_open_connections_lock_nobody_out_of_300_files(valkey_server: str, module_database_url: str) -> None:
    with ExitStack() as stack:
        address, pid = stack.enter_context(
            with_300_files(f"{valkey_server.rpartition('/')[0]}/9998", module_database_url)
        )
        port = int(address.rpartition(":")[2])
        for _ in range(900):
            held = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            held.sendall(HEAD)
        for number in range(3):
            assert httpx.get(f"{address}{URL}/{number}", timeout=10).status_code == 200
        assert psutil.Process(pid).num_fds() < 300


async def test_whoever_takes_no_answer_makes_room(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "max_connections", lambda: 10)
    many = (HEAD.replace(b"/api/v1/things/7", b"/openapi.json") + b"\r\n") * 700
    for _ in range(10):
        (await served.connect(many)).hear_nothing()
    await until(lambda: served.asked(HEAD + b"\r\n"), lambda status: status == 200, seconds=30)


@pytest.mark.parametrize(
    "header",
    [
        b"Host: evil.example",
        b"host: localhost",
        b"Authorization: Bearer a\r\nauthorization: Bearer b",
        b"X-API-Key: a\r\nX-API-Key: a",
        b"Idempotency-Key: a\r\nIdempotency-Key: b",
        b"Content-Type: application/json\r\nContent-Type: text/plain",
        b"Origin: http://localhost\r\nOrigin: http://evil.example",
    ],
    ids=lambda header: header.split(b"\r")[0].decode(),
)
async def test_what_can_be_said_once_is_not_said_twice(served: Served, header: bytes) -> None:
    assert await served.asked(HEAD + header + b"\r\n\r\n") == 400
    assert await served.asked(HEAD + b"Accept: a\r\nAccept: b\r\n\r\n") == 200
