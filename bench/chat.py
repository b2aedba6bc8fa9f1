"""The chat turn through the whole system, beside a bare Temporal worker doing update and one activity.

`python -m bench.chat [--seconds 10] [--sessions 1,16,64] [--rounds 2]`. Both run on the same servers at the same time
against the same scripted model of zero latency; they are driven in turn, never together. Prints turns/s, latency and
the CPU seconds that each process took for 1,000 turns, with ratios.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from runtime.embedded import Ports, PostgresServer, TemporalServer, ValkeyServer, running
from tests.scripted_model import start_scripted_model

ROOT = Path(__file__).parents[1]
AGENT = "ali_chief_of_staff"
MESSAGE = "What should we do first this week, and why?"
READY_TIMEOUT_S = 60


@dataclass(frozen=True)
class Target:
    """Something to talk to: a URL, how a turn is said, and the processes it runs in."""

    name: str
    url: str
    roles: Mapping[str, psutil.Process]

    def body(self, session: str) -> dict[str, object]:
        if self.name == "reference":
            return {"session_id": session, "message": MESSAGE}
        return {"agent_id": AGENT, "message": MESSAGE, "context": {"session_id": session}}


@dataclass
class Measured:
    """What one drive found. Latencies in ms, CPU in seconds per 1,000 turns by role, memory in MiB."""

    turns: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.turns / self.seconds

    def percentile(self, share: float) -> float:
        return statistics.quantiles(self.latencies, n=100)[round(share * 100) - 1]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=8)
    options.add_argument("--sessions", default="1,16,64")
    options.add_argument("--rounds", type=int, default=2)
    given = options.parse_args()
    sessions = [int(number) for number in given.sessions.split(",")]
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o755)
        targets = stack.enter_context(_targets(Path(directory)))
        found = asyncio.run(_measure(targets, sessions, given.seconds, given.rounds))
    _show(found, sessions)


async def _measure(
    targets: list[Target], sessions: list[int], seconds: float, rounds: int
) -> dict[tuple[str, int], list[Measured]]:
    found: dict[tuple[str, int], list[Measured]] = {}
    for target in targets:
        await _drive(target, 8, 3)  # warm up
    for number in sessions:
        for _ in range(rounds):
            for target in targets:
                found.setdefault((target.name, number), []).append(await _drive(target, number, seconds))
    return found


async def _drive(target: Target, sessions: int, seconds: float) -> Measured:
    """Sessions that each say one thing after the other. Their first turns, which open them, are not counted."""
    measured = Measured()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        names = [uuid4().hex for _ in range(sessions)]
        await asyncio.gather(*(_say(http, target, name) for name in names))
        cpu, started = _cpu(target), time.perf_counter()
        end = started + seconds

        async def talk(name: str) -> None:
            while time.perf_counter() < end:
                begun = time.perf_counter()
                await _say(http, target, name)
                measured.latencies.append((time.perf_counter() - begun) * 1000)

        await asyncio.gather(*(talk(name) for name in names))
        measured.seconds = time.perf_counter() - started
    measured.turns = len(measured.latencies)
    measured.cpu = {role: (used - cpu[role]) / measured.turns * 1000 for role, used in _cpu(target).items()}
    measured.memory = {role: _memory(process) for role, process in target.roles.items()}
    return measured


async def _say(http: aiohttp.ClientSession, target: Target, session: str) -> None:
    async with http.post(target.url, json=target.body(session)) as response:
        if not response.ok:
            raise RuntimeError(f"{target.name}: {response.status} {await response.text()}")
        await response.read()


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu(target: Target) -> dict[str, float]:
    """CPU seconds of each role so far, its children and those that have ended included."""
    used = {}
    for role, process in target.roles.items():
        times = [p.cpu_times() for p in _family(process)]
        ended = process.cpu_times()
        used[role] = sum(t.user + t.system for t in times) + ended.children_user + ended.children_system
    return used


def _memory(process: psutil.Process) -> float:
    return sum(p.memory_info().rss for p in _family(process)) / 2**20


@contextmanager
def _targets(directory: Path) -> Iterator[list[Target]]:
    ports = Ports()
    postgres = PostgresServer(directory / "postgres", ports.pick())
    temporal = TemporalServer(directory / "temporal", port=ports.pick(), http_port=ports.pick(), ui_port=None)
    valkey = ValkeyServer(directory / "valkey", ports.pick())
    with ExitStack() as stack:
        own = psutil.Process()
        roles = {}
        for server in (postgres, temporal, valkey):
            before = set(own.children())
            stack.enter_context(running(server, directory / f"{server.name}.log"))
            roles[server.name] = (set(own.children()) - before).pop()
        before = set(own.children())
        model = stack.enter_context(start_scripted_model())
        roles["provider"] = (set(own.children()) - before).pop()
        environment = {
            **os.environ,
            **postgres.environment,
            **temporal.environment,
            **valkey.environment,
            "OPENAI_BASE_URL": model.url,
            "CONVERGIO_MODEL": "scripted",
            "CONVERGIO_RATE_LIMIT": "off",
            "CONVERGIO_LOG_LEVEL": "warning",
        }
        subprocess.run(_convergio("migrate"), env=environment, check=True, cwd=ROOT)
        yield [
            _reference(stack, roles, {**environment, "CONVERGIO_PORT": str(ports.pick())}),
            _system(stack, roles, {**environment, "CONVERGIO_PORT": str(ports.pick())}),
        ]


def _convergio(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "runtime.cli", *arguments]


def _start(stack: ExitStack, command: list[str], environment: Mapping[str, str]) -> psutil.Process:
    process = subprocess.Popen(command, env=dict(environment), cwd=ROOT)

    def stop() -> None:
        process.terminate()
        process.wait(10)

    stack.callback(stop)
    return psutil.Process(process.pid)


def _reference(stack: ExitStack, roles: dict[str, psutil.Process], environment: Mapping[str, str]) -> Target:
    parts = {
        part: _start(stack, [sys.executable, "-m", "bench.reference", part], environment) for part in ("worker", "api")
    }
    port = int(environment["CONVERGIO_PORT"])
    _await_port(port)
    return Target("reference", f"http://127.0.0.1:{port}/chat", {**roles, **parts})


def _system(stack: ExitStack, roles: dict[str, psutil.Process], environment: Mapping[str, str]) -> Target:
    parts = {part: _start(stack, _convergio(part), environment) for part in ("projections", "worker", "api")}
    port = int(environment["CONVERGIO_PORT"])
    _await_port(port)
    return Target("convergio", f"http://127.0.0.1:{port}/api/v1/agents/chat", {**roles, **parts})


def _await_port(port: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in psutil.net_connections("tcp")):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on {port}")
        time.sleep(0.1)


def _show(found: dict[tuple[str, int], list[Measured]], sessions: list[int]) -> None:
    console = Console(width=140)
    table = Table("sessions", "", "turns/s", "p50 ms", "p95 ms", "p99 ms", "ratio", box=None, title="chat turn")
    cpu = Table("sessions", "", *_ROLES, "sum", box=None, title="CPU seconds per 1,000 turns")
    for number in sessions:
        reference, system = found["reference", number], found["convergio", number]
        ratios = [ours.rate / theirs.rate for theirs, ours in zip(reference, system, strict=True)]
        for name, rounds in (("reference", reference), ("convergio", system)):
            ratio = f"{statistics.median(ratios):.2f}" if name == "convergio" else ""
            figures = [statistics.median(m.percentile(share) for m in rounds) for share in (0.5, 0.95, 0.99)]
            rate = statistics.median(m.rate for m in rounds)
            table.add_row(str(number), name, f"{rate:.1f}", *(f"{figure:.1f}" for figure in figures), ratio)
            used = {role: statistics.median(m.cpu.get(role, 0.0) for m in rounds) for role in _ROLES}
            cpu.add_row(str(number), name, *(f"{used[role]:.2f}" for role in _ROLES), f"{sum(used.values()):.2f}")
    console.print(table)
    console.print(cpu)
    memory = Table("", *_ROLES, box=None, title="memory, MiB, in the end")
    for name in ("reference", "convergio"):
        last = found[name, sessions[-1]][-1].memory
        memory.add_row(name, *(f"{last.get(role, 0.0):.0f}" for role in _ROLES))
    console.print(memory)


_ROLES = ("temporal", "worker", "api", "postgres", "valkey", "projections", "provider")

if __name__ == "__main__":
    main()
