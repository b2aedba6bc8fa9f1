"""Swarms through the whole system, compared with bare Temporal workflows with the same number of model calls.

`python -m bench.swarm [--swarms 50] [--members 5] [--rounds 4] [--quick]`. That many swarms (mode `parallel`) are
started at once and awaited, in turn with the reference, on the same servers, with the same scripted model of zero
latency, and the same prompts and timeouts. The sandbox of the reference's workflows, and the number of eager
activities, are the SDK's defaults; with `--quick` they are the system's. Prints swarms/s, latency and CPU seconds per
1,000 model calls, with ratios.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from bench.stage import ROLES, Stage, cpu
from runtime.wiring.parts import agent_files

CHIEF = "ali_chief_of_staff"
TASK = "Say what we should do first this quarter to win back customers, and what we should stop doing for it."


@dataclass(frozen=True)
class SwarmTarget:
    """A system under test: its URL and its processes."""

    name: str
    url: str
    roles: Mapping[str, psutil.Process]

    def body(self, members: list[str]) -> dict[str, object]:
        if self.name == "reference":
            return {"task_id": f"bare-{uuid4().hex}", "task": TASK, "members": members, "coordinator": CHIEF}
        return {"task": TASK, "agents": members, "coordination_mode": "parallel", "coordinator": CHIEF}


@dataclass
class SwarmMeasurement:
    """The figures of one burst. Latencies in seconds, CPU in seconds per 1,000 model calls by role."""

    swarms: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.swarms / self.seconds

    def percentile(self, share: float) -> float:
        return statistics.quantiles(self.latencies, n=100)[round(share * 100) - 1]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--swarms", type=int, default=50)
    options.add_argument("--members", type=int, default=5)
    options.add_argument("--rounds", type=int, default=4)
    options.add_argument("--quick", action="store_true")
    given = options.parse_args()
    members = [agent.id for agent in agent_files() if agent.id != CHIEF][: given.members]
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o755)
        stage, sandbox = Stage(stack, Path(directory)), ["quick"] if given.quick else []
        (bare, bare_roles), (url, roles) = stage.reference("bench.swarm_reference", *sandbox), stage.system()
        targets = [
            SwarmTarget("reference", f"{bare}/swarm", bare_roles),
            SwarmTarget("convergio", f"{url}/api/v1/swarm/coordinate", roles),
        ]
        found = asyncio.run(_measure(targets, stage, members, given.swarms, given.rounds))
    _show(found, given.swarms, given.members)


async def _measure(
    targets: list[SwarmTarget], stage: Stage, members: list[str], swarms: int, rounds: int
) -> dict[str, list[SwarmMeasurement]]:
    client = await Client.connect(stage.environment["TEMPORAL_ADDRESS"])
    found: dict[str, list[SwarmMeasurement]] = {target.name: [] for target in targets}
    for target in targets:
        await _burst(target, client, members, swarms)  # warm up
    for _ in range(rounds):
        for target in targets:
            found[target.name].append(await _burst(target, client, members, swarms))
    return found


async def _burst(target: SwarmTarget, client: Client, members: list[str], swarms: int) -> SwarmMeasurement:
    measured = SwarmMeasurement(swarms)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        before, started = cpu(target.roles), time.perf_counter()

        async def one() -> None:
            begun = time.perf_counter()
            await _run_swarm(http, client, target, members)
            measured.latencies.append(time.perf_counter() - begun)

        await asyncio.gather(*(one() for _ in range(swarms)))
        measured.seconds = time.perf_counter() - started
    await asyncio.sleep(0.5)  # the views catch up, which counts
    calls = swarms * (len(members) + 1)
    measured.cpu = {role: (used - before[role]) / calls * 1000 for role, used in cpu(target.roles).items()}
    return measured


async def _run_swarm(http: aiohttp.ClientSession, client: Client, target: SwarmTarget, members: list[str]) -> None:
    """Start a swarm and wait until its workflow has ended, in the same way for both systems."""
    async with http.post(target.url, json=target.body(members)) as response:
        if not response.ok:
            raise RuntimeError(f"{target.name}: {response.status} {await response.text()}")
        task_id = (await response.json())["task_id"]
    result = await client.get_workflow_handle(task_id).result()
    if isinstance(result, dict) and result["status"] != "completed":
        raise RuntimeError(f"{target.name}: {result}")


def _show(found: dict[str, list[SwarmMeasurement]], swarms: int, members: int) -> None:
    console = Console(width=140)
    title = f"{swarms} swarms of {members} members at once, {members + 1} model calls each"
    table = Table("", "swarms/s", "calls/s", "p50 s", "p95 s", "ratio", "ratio of p95", box=None, title=title)
    used = Table("", *ROLES, "sum", box=None, title="CPU seconds per 1,000 model calls")
    pairs = list(zip(found["reference"], found["convergio"], strict=True))
    ratio = statistics.median(ours.rate / theirs.rate for theirs, ours in pairs)
    slower = statistics.median(ours.percentile(0.95) / theirs.percentile(0.95) for theirs, ours in pairs)
    for name, rounds in found.items():
        rate = statistics.median(m.rate for m in rounds)
        p50, p95 = (statistics.median(m.percentile(share) for m in rounds) for share in (0.5, 0.95))
        ratios = (f"{ratio:.2f}", f"{slower:.2f}") if name == "convergio" else ("", "")
        table.add_row(name, f"{rate:.1f}", f"{rate * (members + 1):.0f}", f"{p50:.2f}", f"{p95:.2f}", *ratios)
        by_role = {role: statistics.median(m.cpu.get(role, 0.0) for m in rounds) for role in ROLES}
        used.add_row(name, *(f"{by_role[role]:.2f}" for role in ROLES), f"{sum(by_role.values()):.2f}")
    console.print(table)
    console.print(used)


if __name__ == "__main__":
    main()
