"""The toy API as a process of its own: `python -m tests.api.serve REDIS_URL DATABASE_URL`. Prints its port."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal

import uvicorn
from fastapi import FastAPI

from adapters.memory.rate_limit import MemoryRateLimit
from adapters.postgres.idempotency import PostgresAnswers
from adapters.postgres.ledger.pool import Database
from adapters.redis.rate_limit import RedisRateLimit
from api.http.server import BoundedHttpProtocol
from runtime.logs import configure_logging
from tests.api.toy import Toy, toy_app

ROOT = Path(__file__).parents[2]


class SlowToy(Toy):
    """Its POSTs take long enough to be repeated meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Slow()


class Slow(asyncio.Event):
    async def wait(self) -> Literal[True]:
        await asyncio.sleep(0.6)
        return True


def served(redis_url: str, database_url: str) -> FastAPI:
    limiter = RedisRateLimit.connect(redis_url, requests=100, seconds=60)
    database = Database(database_url, size=4)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        database.open()
        await limiter.warm()
        yield
        database.close()
        await limiter.close()

    answers = PostgresAnswers(database)
    own = MemoryRateLimit(requests=100, seconds=60)
    return toy_app(SlowToy(), limiter=limiter, limiter_meanwhile=own, answers=answers, lifespan=lifespan)


@contextmanager
def running(redis_url: str, database_url: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process and its address."""
    command = [sys.executable, "-m", "tests.api.serve", redis_url, database_url]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", process
        finally:
            process.terminate()


def main() -> None:
    configure_logging("error", "api")
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)  # noqa: T201  (the starter reads it)
    config = uvicorn.Config(served(*sys.argv[1:]), http=BoundedHttpProtocol, log_level="critical", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
