"""Servers that go away and come back, without touching the server that other tests share."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

import psycopg
from psycopg.sql import SQL, Identifier


class Relay:
    """Stands between a client and `host:port`. While it is away nothing listens, and what was open is cut."""

    def __init__(self, target: str) -> None:
        self._host, _, self._port = target.rpartition(":")
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for pipe in self._pipes:
                pipe.cancel()
            await asyncio.gather(*self._pipes, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """The server cannot be reached in the block."""
        await self.stop()
        try:
            yield
        finally:
            await self.start()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(self._host, int(self._port))
        for source, sink in ((reader, here), (there, writer)):
            pipe = asyncio.create_task(_pump(source, sink))
            self._pipes.add(pipe)
            pipe.add_done_callback(self._pipes.discard)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with suppress(ConnectionError):
            while received := await source.read(65536):
                sink.write(received)
                await sink.drain()
    finally:
        sink.close()
        with suppress(ConnectionError):
            await sink.wait_closed()


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[Relay]:
    """A relay to `host:port`, for the block."""
    made = Relay(target)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@contextmanager
def database_away(server: str, database_url: str) -> Iterator[None]:
    """This one database lets nobody in for the block, and whoever was in is thrown out. `server` is another's URL."""
    name = urlsplit(database_url).path.lstrip("/")
    with psycopg.connect(server, autocommit=True) as connection:
        allow = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        connection.execute(allow.format(Identifier(name), SQL("false")))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            connection.execute(allow.format(Identifier(name), SQL("true")))
