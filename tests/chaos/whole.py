"""The whole system as real processes, with a provider that keeps its own bill: what the proofs break and then ask."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg

from runtime.supervisor.process import ProcessIdentity
from tests.runtime.upping import Up, start_up, until
from tests.scripted_model import ScriptedModel, start_scripted_model
from tests.servers import ROOT

T = TypeVar("T")

CHAT = "/api/v1/agents/chat"
BOOKS = "/api/v1/cost-management"
AGENT = "ali_chief_of_staff"
CALLER_WAITS_S = 120.0
CATCH_UP_S = 30.0
READY_S, RESTORED_S = 60.0, 180.0
"""Limits on a start, and on one that reconciles a restored system first."""
GIVEN_UP_S = 300.0
_SETTLED = "SELECT count(*) FROM ledger_events WHERE topic LIKE 'costs.call_settled%'"


class Whole:
    """A running `convergio up`, a client of its API, and the provider it calls."""

    def __init__(self, up: Up, model: ScriptedModel, http: httpx.AsyncClient) -> None:
        self.up = up
        self.model = model
        self.http = http
        self._environment = dict(up.run().environment)

    @property
    def environment(self) -> dict[str, str]:
        """The servers by their variables; they stay when everything is killed."""
        return self._environment

    async def say(self, message: str, session_id: str | None = None, **more: Any) -> httpx.Response:
        """POST a message to the first agent."""
        headers = more.pop("headers", {})
        context = {"session_id": session_id} if session_id else {}
        body = {"agent_id": AGENT, "message": message, "context": context, "timeout_s": CALLER_WAITS_S, **more}
        return await self.http.post(CHAT, json=body, headers=headers)

    def saying(self, message: str, session_id: str | None = None, **more: Any) -> "asyncio.Task[httpx.Response]":
        """The same, without waiting."""
        return asyncio.create_task(self.say(message, session_id, **more))

    async def say_until_answered(self, message: str, session_id: str, key: str) -> httpx.Response:
        """What a good client does: the same message under the same key until it has its answer."""
        while True:
            try:
                response = await self.say(message, session_id, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                await asyncio.sleep(0.2)
                continue
            if response.status_code == httpx.codes.ACCEPTED:
                await self.answered(session_id, message)
                return response
            if response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                return response
            await asyncio.sleep(min(float(response.headers.get("retry-after", "0.2")), 2.0))

    async def answered(self, session_id: str, message: str) -> dict[str, Any]:
        """Poll the session until this message is answered, and return its turn."""
        while True:
            try:
                found = [turn for turn in await self.turns(session_id) if turn["message"] == message]
            except (httpx.TransportError, httpx.HTTPStatusError):
                found = []
            if found and found[0]["status"] == "completed":
                return found[0]
            await asyncio.sleep(0.2)

    async def turns(self, session_id: str) -> list[dict[str, Any]]:
        """All turns of a session, in order."""
        return list((await self.ask(f"{CHAT}/{session_id}", limit=1000))["turns"])

    async def usage(self) -> dict[str, Any]:
        """The current period of the books."""
        return dict((await self.ask(f"{BOOKS}/usage"))["current_period"])

    async def calls(self, **wanted: str) -> list[dict[str, Any]]:
        """Every call in the books, oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.ask(f"{BOOKS}/ledger", skip=len(found), limit=1000, **wanted)
            found += page["data"]
            if not page["pagination"]["has_next"]:
                return found[::-1]

    async def ended_calls(self) -> list[dict[str, Any]]:
        """Every call in the books once none is open: what nobody speaks for is given up after its deadline."""

        async def none_open() -> bool:
            return not await self.calls(state="reserved")

        await eventually(none_open, GIVEN_UP_S)
        return await self.calls()

    async def command(self, *words: str) -> str:
        """Run `convergio WORDS` against the servers; what it says. It must end well."""
        command = [sys.executable, "-m", "runtime.cli", *words]
        environment = {**os.environ, **self.environment, "COLUMNS": "200"}
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=PIPE, stderr=STDOUT)
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def ask(self, path: str, **parameters: Any) -> dict[str, Any]:
        """GET what must answer 200, again while its view says that it is behind."""
        end = time.monotonic() + CATCH_UP_S
        while True:
            response = await self.http.get(path, params=parameters)
            if "x-convergio-stale" not in response.raise_for_status().headers:
                return dict(response.json())
            assert time.monotonic() < end, f"{path} stays behind"

    async def until_settled(self, count: int, seconds: float = 30) -> None:
        """Return when the ledger itself, not its view, holds so many settlements."""
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:

            def settled() -> bool:
                row = connection.execute(_SETTLED).fetchone()
                return row is not None and row[0] >= count

            await soon(settled, seconds)

    async def in_call(self, message: str) -> "asyncio.Task[httpx.Response]":
        """Say it in a session of its own, and return when the provider works on it."""
        before = len(self.model.bill())
        saying = self.saying(message)
        await self.model.until(lambda bill: len(bill) > before and bill[-1]["state"] == "started", seconds=30)
        return saying

    def signal(self, part: str, number: signal.Signals) -> float:
        """Signal a part; the moment in Unix seconds."""
        os.kill(self.up.pid(part), number)
        return time.time()

    @contextmanager
    def frozen(self, *parts: str) -> Iterator[None]:
        """These stand still for the block. `supervisor` may be one: then nothing that dies is started again."""
        run = self.up.run()
        marks = [run.supervisor if part == "supervisor" else run.children[part] for part in parts]
        for mark in marks:
            mark.kill(signal.SIGSTOP)
        try:
            yield
        finally:
            for mark in marks:
                mark.kill(signal.SIGCONT)

    @contextmanager
    def down(self, part: str) -> Iterator[None]:
        """Kill a part, and keep it from being started again for the block, which begins when nothing of it is left."""
        with self.frozen("supervisor"):
            victims = family(self.up.run().children[part])
            self.up.kill(part)
            until(lambda: not any(map(alive, victims)), 10)
            yield

    async def reborn(self, part: str, dead: int) -> None:
        """Return when the part runs again and is ready."""
        await soon(lambda: self.up.pid(part) != dead and f'"pid":{self.up.pid(part)},' in self.up.output, 60)


@asynccontextmanager
async def whole(
    directory: Path, model: ScriptedModel, port: int = 0, *, ready_s: float = READY_S, **variables: str
) -> AsyncIterator[Whole]:
    """The system from start to stop, on `directory / "data"`; there may be one from before."""
    settings = {"OPENAI_BASE_URL": model.url, "CONVERGIO_MODEL": "scripted", "CONVERGIO_RATE_LIMIT": "off", **variables}
    with start_up(directory / "data", "--port", str(port), **settings) as up:
        await asyncio.to_thread(up.wait_until_ready, ready_s)
        async with httpx.AsyncClient(base_url=up.run().url, timeout=CALLER_WAITS_S + 30) as http:
            yield Whole(up, model, http)


@asynccontextmanager
async def whole_with_model(directory: Path, **variables: str) -> AsyncIterator[Whole]:
    """The same with a provider of its own, whose bill is a file."""
    async with AsyncExitStack() as stack:
        model = stack.enter_context(start_scripted_model(bill=directory / "bill.jsonl"))
        yield await stack.enter_async_context(whole(directory, model, port=0, **variables))


async def kill_everything(system: Whole) -> int:
    """Kill every process of the system at once, and return when none is left; how many there were."""
    victims = family(system.up.run().supervisor)
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await soon(lambda: not any(map(alive, victims)), 10)
    return len(victims)


async def soon(holds: Callable[[], T], seconds: float) -> T:
    """What `holds` returns as soon as it is true; looks every 10 ms."""
    deadline = time.monotonic() + seconds
    while not (held := holds()):
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.01)
    return held


async def eventually(holds: Callable[[], Awaitable[T]], seconds: float) -> T:
    """The same for what has to be awaited; asks four times a second."""
    deadline = time.monotonic() + seconds
    while not (held := await holds()):
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.25)
    return held


async def within(seconds: float, awaited: Awaitable[T]) -> T:
    async with asyncio.timeout(seconds):
        return await awaited


def moment(stamp: str) -> float:
    """An API's timestamp in Unix seconds."""
    return datetime.fromisoformat(stamp).astimezone(UTC).timestamp()


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    return Path(f"/proc/{pid}/exe").exists()


def family(eldest: ProcessIdentity) -> list[int]:
    """The process ids of a process and of all that descends from it, itself first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has just ended
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [eldest.pid]
    for pid in found:
        found += children.get(pid, [])
    return found
