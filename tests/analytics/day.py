"""A day of use: everything that agents do, well and badly, through the real API with the scripted provider."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

from tests.scripted_model import ScriptedModel
from tests.system import AGENT, CHAT, System, until

AMY, OMRI, AVA = "amy_cfo", "omri_data_scientist", "ava_analytics_virtuoso"
OVER = {"completed", "rejected", "failed", "cancelled", "deadline_exceeded", "budget_exceeded"}
GRAPH = {
    "nodes": [
        {"id": "first", "type": "agent", "agent": AMY, "prompt": "{{ input.request }}"},
        {"id": "second", "type": "agent", "agent": OMRI, "prompt": "Then {{ nodes.first.output }}"},
    ],
    "edges": [{"from": "first", "to": "second"}],
}
TOOL = '[[call query_costs {"period": "today", "group_by": "agent"}]]'
SPOILING = {"contains": "Spoil it", "status": 400, "times": None}
DAWDLING = {"contains": "Dawdle", "delay_s": 60.0, "times": None}


@dataclass
class Day:
    """One tenant's day: what it made, by the names of the parameters of paths."""

    system: System
    headers: dict[str, str]
    mark: str = field(default_factory=lambda: uuid4().hex[:8])
    ids: dict[str, str] = field(default_factory=dict)
    sessions: list[str] = field(default_factory=list)

    async def live(self) -> None:
        """Do all of it, in parts side by side."""
        project = await self.post("/api/v1/projects", {"name": f"Project {self.mark}", "budget_usd": 3})
        self.ids["project_id"] = str(project["id"])
        await asyncio.gather(self._talk(), self._fail(), self._decide(), self._swarm(), self._flow())
        ledger = "/api/v1/cost-management/ledger"
        await until(lambda: self.get(ledger, state="reserved"), lambda it: not it["data"], seconds=60)

    @property
    def context(self) -> dict[str, Any]:
        return {"project_id": self.ids["project_id"], "user_id": f"user-{self.mark}"}

    async def post(self, path: str, body: Any) -> dict[str, Any]:
        answer = await self.system.http.post(path, json=body, headers=self.headers)
        assert answer.status_code in {200, 201, 202}, f"{path}: {answer.text}"
        return dict(answer.json())

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        """GET until the views have caught up."""
        answer = await until(
            lambda: self.system.http.get(path, headers=self.headers, params=query),
            lambda answer: "x-convergio-stale" not in answer.headers,
        )
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return dict(answer.json())

    async def say(self, text: str, session: str, *, agent_id: str = AGENT, **more: Any) -> httpx.Response:
        context = {**self.context, "session_id": session}
        body = {"agent_id": agent_id, "message": text, "context": context, **more}
        return await self.system.http.post(CHAT, json=body, headers=self.headers)

    async def _talk(self) -> None:
        """Three talks of two turns, ratings (one of them changed), and a fork that goes on and is rated too."""
        for number, agent_id in enumerate((AGENT, AMY, AMY)):
            session = f"talk-{self.mark}-{number}"
            for text in ("Hello.", f"And then? {TOOL if number == 0 else ''}"):
                answer = await self.say(text, session, agent_id=agent_id)
                assert answer.status_code == 200, answer.text
            self.sessions.append(session)
        first = self.sessions[0]
        self.ids |= {"session_id": first, "turn": "1"}
        for rating in (2, 4):
            await self.post(f"{CHAT}/{first}/turns/1/rating", {"rating": rating})
        await self.post(f"{CHAT}/{self.sessions[1]}/turns/2/rating", {"rating": 3, "comment": "Fair."})
        fork = (await self.post(f"{CHAT}/{first}/fork", {"turn": 1}))["session_id"]
        assert (await self.say("Otherwise?", fork)).status_code == 200
        await self.post(f"{CHAT}/{fork}/turns/1/rating", {"rating": 5})

    async def _fail(self) -> None:
        """Turns that the provider refuses, and two that succeed at the second attempt."""
        session = f"fails-{self.mark}"
        for _ in range(4):
            answer = await self.say("Spoil it.", session, agent_id=AVA)
            assert answer.status_code == 502, answer.text
        for text in ("Try it, [[fail 503 1]]", "Say more, [[tokens 90]] [[cut 2 1]]"):  # once for each text
            said = await self.say(f"{self.mark} {text}", session, agent_id=AVA)
            assert said.status_code == 200, said.text

    async def _decide(self) -> None:
        """Answers that wait: one is approved, one rejected, two are left."""
        held = []
        for number in range(4):
            answer = await self.say("May I?", f"held-{self.mark}-{number}", agent_id=OMRI, require_approval=True)
            assert answer.status_code in {200, 202}, answer.text
            held.append(answer.json()["approval_id"])
        await self.post(f"/api/v1/approvals/{held[0]}/approve", {})
        await self.post(f"/api/v1/approvals/{held[1]}/reject", {"reason": "No."})
        for number, status in enumerate(("completed", "rejected")):
            path = f"{CHAT}/held-{self.mark}-{number}"
            await until(lambda p=path: self.get(p), lambda it, s=status: it["turns"][0]["status"] == s, seconds=30)
        self.ids["approval_id"] = held[2]

    async def _swarm(self) -> None:
        """A swarm that completes, and one that is cancelled."""
        task = {"task": "Plan.", "agents": [AMY, OMRI], "coordination_mode": "parallel", "context": self.context}
        started = await self.post("/api/v1/swarm/coordinate", task)
        self.ids["task_id"] = started["task_id"]
        await self._ended(f"/api/v1/swarm/status/{started['task_id']}")
        slow = await self.post("/api/v1/swarm/coordinate", {**task, "task": "Dawdle."})
        path = f"/api/v1/swarm/status/{slow['task_id']}"
        await until(lambda: self.get(path), lambda it: it["status"] == "running", seconds=30)
        await self.post(f"/api/v1/swarm/{slow['task_id']}/cancel", {})
        await self._ended(path)

    async def _flow(self) -> None:
        """Two executions of a workflow: one completes, one fails at its first node."""
        drawn = await self.post("/api/v1/workflows", {"name": f"Flow {self.mark}", **GRAPH})
        path = f"/api/v1/workflows/{drawn['id']}"
        for request in ("Hello.", "Spoil it."):
            body = {"input": {"request": request}, "context": self.context}
            run = await self.post(f"{path}/execute", body)
            await self._ended(f"{path}/status", execution_id=run["execution_id"])
            self.ids.setdefault("execution_id", run["execution_id"])
        self.ids["workflow_id"] = drawn["id"]

    async def _ended(self, path: str, **query: Any) -> None:
        await until(lambda: self.get(path, **query), lambda it: it["status"] in OVER, seconds=60)


def prepare(model: ScriptedModel) -> None:
    """Script what directives cannot say."""
    model.script(SPOILING, DAWDLING)
