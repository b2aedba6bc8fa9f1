"""Two hundred runs of every kind, as they are when a backup is made: in progress, held, idle."""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.chaos.swarms import begun
from tests.chaos.whole import CHAT, Whole, eventually

WORKFLOWS = "/api/v1/workflows"
IDLE, HELD_CHATS, HELD_SWARMS, HELD_GRAPHS = 20, 40, 15, 15
CHATS, SWARMS, GRAPHS = 60, 30, 20
AT_ONCE = 20
_HELD_S, _BEGUN_S = 180.0, 120.0

NODES = [
    {"id": "first", "type": "agent", "agent": "amy_cfo", "prompt": "One: {{ input.request }}"},
    {"id": "second", "type": "agent", "agent": "amy_cfo", "prompt": "Two: {{ input.request }}"},
    {"id": "ask", "type": "approval", "title": "Go?", "content": "{{ nodes.second.output }}"},
]
GRAPH = {
    "name": "Two steps and a person",
    "nodes": NODES,
    "edges": [{"from": "first", "to": "second"}, {"from": "second", "to": "ask"}],
}


@dataclass
class Runs:
    """Ids of runs by their kinds; `approvals` are those of held runs, by the run."""

    idle: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    chats: list[str] = field(default_factory=list)
    swarms: list[str] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)
    workflow_id: str = ""

    @property
    def count(self) -> int:
        return sum(map(len, (self.idle, self.held, self.chats, self.swarms, self.executions)))


async def define_graph(system: Whole) -> str:
    """The workflow of two steps and a person; its id."""
    made = await system.http.post(WORKFLOWS, json=GRAPH)
    assert made.status_code == httpx.codes.CREATED, made.text
    return str(made.json()["id"])


async def hold_runs(system: Whole) -> Runs:
    """Sessions that are idle, and runs of each kind that wait for a person."""
    runs = Runs(workflow_id=await define_graph(system))
    runs.idle = await _all(_said(system, f"Number {number}.") for number in range(IDLE))
    runs.held = await _all(_said(system, f"May I? {n}", require_approval=True) for n in range(HELD_CHATS))
    runs.swarms = await _all(
        begun(system, f"held-{n}", coordination_mode="parallel", require_approval=True) for n in range(HELD_SWARMS)
    )
    runs.executions = await _all(_executed(system, runs.workflow_id, n) for n in range(HELD_GRAPHS))

    async def all_wait() -> bool:
        found = await system.ask("/api/v1/approvals", status="pending", limit=1)
        return bool(found["pagination"]["total"] >= HELD_CHATS + HELD_SWARMS + HELD_GRAPHS)

    await eventually(all_wait, _HELD_S)
    return runs


async def begin_runs(system: Whole, runs: Runs) -> None:
    """Runs that are in progress for the next quarter of a minute, and settle a call again and again meanwhile."""
    system.model.script(default={"delay_s": 2.5})
    before = len(system.model.bill())
    runs.chats = await _all(_accepted(system, f"Under way. [[delay {4 + number / 4}]]") for number in range(CHATS))
    await system.model.until(lambda bill: len(bill) >= before + CHATS, seconds=_BEGUN_S)
    swarms = _all(begun(system, f"running-{n}", coordination_mode="parallel") for n in range(SWARMS))
    graphs = _all(_executed(system, runs.workflow_id, 100 + number) for number in range(GRAPHS))
    more_swarms, more_graphs = await asyncio.gather(swarms, graphs)
    runs.swarms += more_swarms
    runs.executions += more_graphs
    await system.model.until(lambda bill: len(bill) >= before + CHATS + SWARMS, seconds=_BEGUN_S)


async def _all(work: Iterable[Awaitable[str]]) -> list[str]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[str]) -> str:
        async with room:
            return await each

    return list(await asyncio.gather(*(one(each) for each in work)))


async def _said(system: Whole, message: str, **more: Any) -> str:
    response = await system.say(message, **more)
    assert response.is_success, response.text
    return str(response.json()["session_id"])


async def _accepted(system: Whole, message: str) -> str:
    return await _said(system, message, wait=False)


async def _executed(system: Whole, workflow_id: str, number: int) -> str:
    response = await system.http.post(
        f"{WORKFLOWS}/{workflow_id}/execute", json={"input": {"request": f"Number {number}"}}
    )
    assert response.status_code == httpx.codes.ACCEPTED, response.text
    return str(response.json()["execution_id"])


async def statuses(system: Whole, runs: Runs) -> dict[str, str]:
    """The status of every run that the system knows, by its id; sessions have that of their last turn."""
    found: dict[str, str] = {}
    for session in (*runs.idle, *runs.held, *runs.chats):
        response = await system.http.get(f"{CHAT}/{session}")
        if response.status_code == httpx.codes.OK and response.json()["turns"]:
            found[session] = response.json()["turns"][-1]["status"]
    for task_id in runs.swarms:
        response = await system.http.get(f"/api/v1/swarm/status/{task_id}")
        if response.status_code == httpx.codes.OK:
            found[task_id] = response.json()["status"]
    for execution_id in runs.executions:
        path = f"{WORKFLOWS}/{runs.workflow_id}/status"
        response = await system.http.get(path, params={"execution_id": execution_id})
        if response.status_code == httpx.codes.OK:
            found[execution_id] = response.json()["status"]
    return found
