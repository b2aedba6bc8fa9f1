"""Graphs through the whole system, compared with hand-written Temporal workflows with one activity per node.

`python -m bench.graph [--runs 40] [--rounds 4] [--quick]`. A chain of ten `transform` nodes, and ten concurrent `agent`
nodes: that many executions of each are started at once and awaited, in turn with the reference, on the same servers,
with the same scripted model of zero latency. The sandbox of the reference's workflows, and the number of eager
activities, are the SDK's defaults, as in the benchmarks of chats and swarms; with `--quick` they are the system's.
Prints executions/s, latency and CPU seconds per 1,000 nodes, with ratios.
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
from typing import Any
from uuid import uuid4

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from bench.graph_bare import AGENTS, STEPS
from bench.stage import ROLES, Stage, cpu
from runtime.wiring.parts import agent_files

REQUEST = "Say what we should do first this quarter to win back customers, and what we should stop doing for it."
NODES = {"chain": STEPS, "fan": AGENTS}
WORKFLOWS = "/api/v1/workflows"


def definitions(agents: list[str]) -> dict[str, dict[str, Any]]:
    """Return the two graphs."""
    steps: list[dict[str, Any]] = [{"id": "s0", "type": "transform", "set": {"n": "size(input.request) + 1"}}]
    steps += [
        {"id": f"s{place}", "type": "transform", "set": {"n": f"nodes.s{place - 1}.output.n + 1"}}
        for place in range(1, STEPS)
    ]
    ways = [{"from": f"s{place}", "to": f"s{place + 1}"} for place in range(STEPS - 1)]
    fan = [{"id": agent, "type": "agent", "agent": agent, "prompt": "{{ input.request }}"} for agent in agents]
    return {
        "chain": {"name": "Bench chain", "nodes": steps, "edges": ways},
        "fan": {"name": "Bench fan", "nodes": fan, "edges": []},
    }


@dataclass(frozen=True)
class GraphTarget:
    """A system under test: a URL for each graph, and its processes."""

    name: str
    urls: Mapping[str, str]
    roles: Mapping[str, psutil.Process]
    agents: list[str]

    def body(self) -> dict[str, object]:
        if self.name == "reference":
            return {"run_id": f"bare-{uuid4().hex}", "request": REQUEST, "agents": self.agents}
        return {"input": {"request": REQUEST}}


@dataclass
class GraphMeasurement:
    """The figures of one burst. Latencies in seconds, CPU in seconds per 1,000 nodes by role."""

    runs: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.runs / self.seconds

    @property
    def p95(self) -> float:
        return statistics.quantiles(self.latencies, n=100)[94]


Found = dict[tuple[str, str], list[GraphMeasurement]]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=40)
    options.add_argument("--rounds", type=int, default=4)
    options.add_argument("--quick", action="store_true")
    given = options.parse_args()
    agents = [agent.id for agent in agent_files()][:AGENTS]
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o755)
        stage = Stage(stack, Path(directory))
        sandbox = ["quick"] if given.quick else []
        (bare, bare_roles), (url, roles) = stage.reference("bench.graph_reference", *sandbox), stage.system()
        reference = GraphTarget("reference", {name: f"{bare}/{name}" for name in NODES}, bare_roles, agents)
        found = asyncio.run(_measure(reference, url, roles, stage, given))
    _show(found, given.runs)


async def _measure(
    reference: GraphTarget, url: str, roles: Mapping[str, psutil.Process], stage: Stage, given: argparse.Namespace
) -> Found:
    client = await Client.connect(stage.environment["TEMPORAL_ADDRESS"])
    ours = GraphTarget("convergio", await _create_workflows(url, reference.agents), roles, reference.agents)
    found: Found = {}
    for graph in NODES:
        for target in (reference, ours):
            await _burst(target, graph, client, given.runs)  # warm up
        for _ in range(given.rounds):
            for target in (reference, ours):
                found.setdefault((graph, target.name), []).append(await _burst(target, graph, client, given.runs))
    return found


async def _create_workflows(url: str, agents: list[str]) -> dict[str, str]:
    urls = {}
    async with aiohttp.ClientSession() as http:
        for name, definition in definitions(agents).items():
            async with http.post(f"{url}{WORKFLOWS}", json=definition) as response:
                if not response.ok:
                    raise RuntimeError(f"{name}: {response.status} {await response.text()}")
                urls[name] = f"{url}{WORKFLOWS}/{(await response.json())['id']}/execute"
    return urls


async def _burst(target: GraphTarget, graph: str, client: Client, runs: int) -> GraphMeasurement:
    measured = GraphMeasurement(runs)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        before, started = cpu(target.roles), time.perf_counter()

        async def one() -> None:
            begun = time.perf_counter()
            await _run(http, client, target, graph)
            measured.latencies.append(time.perf_counter() - begun)

        await asyncio.gather(*(one() for _ in range(runs)))
        measured.seconds = time.perf_counter() - started
    await asyncio.sleep(0.5)  # the views catch up, which counts
    nodes = runs * NODES[graph]
    measured.cpu = {role: (used - before[role]) / nodes * 1000 for role, used in cpu(target.roles).items()}
    return measured


async def _run(http: aiohttp.ClientSession, client: Client, target: GraphTarget, graph: str) -> None:
    """Start an execution and wait until its workflow has ended, in the same way for both systems."""
    async with http.post(target.urls[graph], json=target.body()) as response:
        if not response.ok:
            raise RuntimeError(f"{target.name}: {response.status} {await response.text()}")
        execution_id = (await response.json())["execution_id"]
    result = await client.get_workflow_handle(execution_id).result()
    if isinstance(result, dict) and result["status"] != "completed":
        raise RuntimeError(f"{target.name}: {result}")


def _show(found: Found, runs: int) -> None:
    console = Console(width=140)
    table = Table("", "", "runs/s", "nodes/s", "p95 s", "ratio", "ratio of p95", box=None, title=f"{runs} runs at once")
    used = Table("", "", *ROLES, "sum", box=None, title="CPU seconds per 1,000 nodes")
    for (graph, name), rounds in found.items():
        pairs = list(zip(found[graph, "reference"], rounds, strict=True))
        ratio = statistics.median(ours.rate / theirs.rate for theirs, ours in pairs)
        slower = statistics.median(ours.p95 / theirs.p95 for theirs, ours in pairs)
        rate, p95 = statistics.median(m.rate for m in rounds), statistics.median(m.p95 for m in rounds)
        ratios = (f"{ratio:.2f}", f"{slower:.2f}") if name == "convergio" else ("", "")
        table.add_row(graph, name, f"{rate:.1f}", f"{rate * NODES[graph]:.0f}", f"{p95:.2f}", *ratios)
        by_role = {role: statistics.median(m.cpu.get(role, 0.0) for m in rounds) for role in ROLES}
        used.add_row(graph, name, *(f"{by_role[role]:.2f}" for role in ROLES), f"{sum(by_role.values()):.2f}")
    console.print(table)
    console.print(used)


if __name__ == "__main__":
    main()
