"""Many turns in new sessions, swarms and runs of graphs among them: memory and latency stay where they are.

`SOAK_TURNS` says how many turns; with few of them the worker's cache is made smaller, so that it fills all the same.
"""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

import psutil
import pytest

from runtime.embedded.temporal import BOUND_MIB
from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.whole import AGENT, Whole, eventually, whole_with_model

pytestmark = pytest.mark.prove

TURNS = int(os.environ.get("SOAK_TURNS", "20000"))
CLIENTS = 12
SESSION_TURNS = 5
OTHERS_EVERY = 25
"""Every so many sessions a swarm, and a run of a graph."""
CACHE_MB = min(100, max(5, TURNS // 200))
OURS = ("api", "worker", "projections")
MOST_MIB_PER_1000 = 1.0
SLOWER_AT_MOST = 1.25
SAMPLE_EVERY_S = 1.0
DELAY_S = 0.05

GRAPH = {
    "name": "Soak",
    "nodes": [
        {"id": "look", "type": "agent", "agent": AGENT, "prompt": "Look at {{ input.request }}."},
        {"id": "short", "type": "transform", "set": {"said": "nodes.look.output"}},
    ],
    "edges": [{"from": "look", "to": "short"}],
}
SWARM = {"task": "Plan the week.", "agents": ["amy_cfo", "oliver_pm"], "coordination_mode": "parallel"}


@dataclass
class Soak:
    """What was done so far: the moment and length of each chat turn, and memory by process at the turns of the bill."""

    turns: list[float] = field(default_factory=list)
    memory: list[tuple[int, Mapping[str, float]]] = field(default_factory=list)
    sessions: int = 0
    bill: int = 0

    def per_1000(self, part: str) -> float:
        """MiB that a process grows in 1,000 turns, once the caches are full: after the first half."""
        first = self.memory[-1][0] / 2
        late = [(turn / 1000, held[part]) for turn, held in self.memory if turn >= first]
        return linear_regression(*zip(*late, strict=True)).slope

    def tenths(self, part: str) -> str:
        """What a process held at each tenth of the way."""
        step = max(1, len(self.memory) // 10)
        return " ".join(f"{held[part]:.0f}" for _, held in self.memory[::step])

    def third(self, number: int) -> float:
        """The median length of the turns in a third, counted from 1."""
        size = len(self.turns) // 3
        return median(self.turns[size * (number - 1) : size * number])


async def test_memory_and_latency_stay_flat(tmp_path: Path, measured: Say) -> None:
    async with whole_with_model(tmp_path, CONVERGIO_RUN_CACHE_MB=str(CACHE_MB)) as system:
        system.model.script(default={"delay_s": DELAY_S})
        soak, began = Soak(), time.monotonic()
        workflow = (await system.http.post("/api/v1/workflows", json=GRAPH)).raise_for_status().json()["id"]
        sampling = asyncio.create_task(sample(system, soak))
        await asyncio.gather(*(client(system, soak, workflow) for _ in range(CLIENTS)))
        sampling.cancel()
        seconds = time.monotonic() - began
        calls = await system.ended_calls()
        assert_books_agree(calls, system.model.bill())
    growth = {part: soak.per_1000(part) for part in (*OURS, "temporal")}
    ends = soak.memory[-1][1]
    lines = [f"{len(calls)} turns in {seconds:.0f} s, {soak.sessions} sessions, a cache of {CACHE_MB} MiB"]
    for part, slope in growth.items():
        lines.append(f"{part}: {ends[part]:.0f} MiB, {slope:+.2f} MiB per 1,000 turns; {soak.tenths(part)}")
    lines += [f"median turn by thirds: {', '.join(f'{soak.third(third) * 1000:.0f} ms' for third in (1, 2, 3))}"]
    measured("\n".join(lines))
    assert {part: growth[part] for part in OURS if growth[part] > MOST_MIB_PER_1000} == {}
    assert max(held["temporal"] for _, held in soak.memory) <= BOUND_MIB
    assert soak.third(3) <= soak.third(2) * SLOWER_AT_MOST


async def client(system: Whole, soak: Soak, workflow: str) -> None:
    """Open sessions, one after the other, until enough turns are taken."""
    while soak.bill < TURNS:
        soak.sessions += 1
        number = soak.sessions
        for turn in range(SESSION_TURNS):
            begun = time.monotonic()
            response = await system.say(f"Turn {turn} of {number}.", f"soak-{number}")
            assert response.status_code == 200, response.text
            soak.turns.append(time.monotonic() - begun)
            soak.bill += 1
        if number % OTHERS_EVERY == 0:
            await others(system, soak, workflow)


async def others(system: Whole, soak: Soak, workflow: str) -> None:
    """A swarm and a run of a graph, to their ends."""
    swarm = await system.http.post("/api/v1/swarm/coordinate", json=SWARM)
    run = await system.http.post(f"/api/v1/workflows/{workflow}/execute", json={"input": {"request": "the sky"}})
    for begun in (swarm, run):
        location = begun.raise_for_status().headers["location"]

        async def over(location: str = location) -> dict[str, Any] | None:
            told = dict((await system.http.get(location)).raise_for_status().json())
            return told if told["status"] not in {"pending", "running"} else None

        ended = await eventually(over, 120)
        assert ended is not None
        assert ended["status"] == "completed", ended
    soak.bill += len(SWARM["agents"]) + 2


async def sample(system: Whole, soak: Soak) -> None:
    """Read the memory of the parts, again and again."""
    while True:
        held = {part: memory(system.up.pid(part)) for part in (*OURS, "temporal")}
        soak.memory.append((soak.bill, held))
        await asyncio.sleep(SAMPLE_EVERY_S)


def memory(pid: int) -> float:
    """MiB that a process and those it has started hold."""
    process = psutil.Process(pid)
    return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)]) / 2**20
