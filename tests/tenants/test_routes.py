"""Two tenants and every route there is: what one has made, the other neither finds nor changes.

The routes come from the application, so a new one is walked too: one with parameters of its path has to have them among
`Made.ids`, and one that creates something stands in `Made.create` or is asked with a body of `BODIES`.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute

from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, AGENT, OF_ACME, OF_ZETA, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

API = "/api/v1"
MARK = f"acmes-own-{uuid4().hex[:12]}"
"""Stands in every name and text that acme writes, and so nowhere in what zeta reads."""
OPERATORS = (
    "/health",
    "/metrics",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/admin/",
    "/api/v1/tenants",
    "/api/v1/auth",
    "/api/v1/governance/providers",
    "/api/v1/governance/rate-limits",
    "/api/v1/governance/slo",
    "/api/v1/cost-management/prices",
)
"""What is about the platform, and the same for whoever asks; and what is about the asking browser only."""
ROOTS = ("/telemetry/", "/ecosystem/")
"""Paths of tenants' routes that are not below `/api/v1`."""
RANGE = re.compile(r'"(from|to|at)":"[^"]*"')
RUNBOOK = "{runbook_id}"
"""Names no tenant's own: all have the same runbooks, and runs of their own."""
FIGURES = {
    "/agents/ali/insights",
    "/analytics/dashboard",
    "/analytics/usage",
    "/cost-management/forecast",
    "/cost-management/usage",
    "/cost-management/what-if",
    "/governance/runbooks",
    "/projects/{project_id}/analytics",
}
"""What acme reads that names nothing of its own."""
TEAM = Path(__file__).parents[1] / "graphflow" / "team.json"
WAITING = {
    "nodes": [
        {"id": "wait", "type": "wait", "event": "go"},
        {"id": "said", "type": "transform", "set": {"who": "nodes.wait.output.payload"}},
    ],
    "edges": [{"from": "wait", "to": "said"}],
}
DRAWN = {
    "definition": {
        "name": "Drawn",
        "nodes": [{"id": "a", "type": "agent", "agent": AGENT, "prompt": "{{ input.request }}"}],
        "edges": [],
    },
    "requirements": [],
}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PUT", "/agent-management/{agent_id}"): {"description": "Theirs."},
    ("PUT", "/workflows/{workflow_id}"): {"description": "Theirs."},
    ("POST", "/agents/chat/{session_id}/fork"): {"turn": 1},
    ("POST", "/agents/chat/{session_id}/turns/{turn}/rating"): {"rating": 1},
    ("POST", "/approvals/{approval_id}/reject"): {"reason": "No."},
    ("POST", "/approvals/{approval_id}/delegate"): {"to": "key_zeta"},
    ("POST", "/workflows/{workflow_id}/execute"): {"input": {}},
    ("POST", "/workflows/{workflow_id}/executions/{execution_id}/events"): {"name": "go", "payload": "theirs"},
}
QUERIES: dict[str, dict[str, str]] = {
    "/cost-management/what-if": {"model": "gpt-4o"},
    "/workflows/{workflow_id}/executions/{execution_id}/stream": {"wait": "false"},
    "/workflows/import": {"name": f"Imported {MARK}"},
    "/cost-management/reconciliations/import": {"provider": MARK, "from": "2026-01-01", "to": "2026-01-31"},
}
"""What a route has to be asked for, by its path."""
MOVING = re.compile(r'"(duration|duration_ms|duration_s|timestamp|request_id|since|until)":[^,}]*')

IDS = {
    "/agent-management/create": ("agent_id", "id"),
    "/agents/chat": ("session_id", "session_id"),
    "/clients": ("client_id", "id"),
    "/cost-management/alerts": ("alert_id", "id"),
    "/cost-management/reconciliations": ("reconciliation_id", "id"),
    "/erasures": ("erasure_id", "id"),
    "/governance/runbook/{runbook_id}/execute": ("run_id", "run_id"),
    "/keys": ("key_id", "id"),
    "/projects": ("project_id", "id"),
    "/schedules": ("schedule_id", "id"),
    "/serialization/save": ("component_id", "component_id"),
    "/swarm/coordinate": ("task_id", "task_id"),
    "/talents": ("talent_id", "id"),
    "/vector/index": ("document_id", "document_id"),
    "/workflows": ("workflow_id", "id"),
}
"""The name in paths of what each POST creates, and the key of its id in the answer."""
OWN = ("PUT", "/cost-management/limits")
"""Sets what is the caller's own, under names that each tenant may give."""


def bodies(name: str) -> dict[str, dict[str, Any] | str | bytes]:
    """What creates something, by its path; the same for both tenants, so that each could be refused for the other.

    A text is a CSV table, and bytes are a file.
    """
    agent = {"name": f"Agent {name}", "description": name, "capabilities": [name], "system_prompt": name}
    context = {"session_id": f"session-of-{name}", "user_id": name, "project_id": name}
    return {
        "/agent-management/create": agent,
        "/agents/chat": {"agent_id": AGENT, "message": name, "context": context},
        "/agents/ali/query": {"query": name, "context": {"project_id": name}},
        "/agents/ali/coordinate": {"task": name, "context": {"note": name}},
        "/swarm/coordinate": {"task": name, "agents": ["amy_cfo", "jony_creative_director"]},
        "/talents": {"name": name, "email": f"{name}@example.com", "skills": [name], "bio": name},
        "/talents/match": {"skills": [name]},
        "/talents/import": f"name,email\n{name},imported-{name}@example.com",
        "/clients": {"name": name},
        "/governance/runbook/{runbook_id}/execute": {"dry_run": True},
        "/erasures": {"kind": "user", "id": f"nobody-of-{name}"},
        "/clients/import": f"name\n{name}",
        "/cost-management/alerts": {"scope": f"agent:{name}", "threshold_usd": 1},
        "/cost-management/reconciliations": {
            "provider": name,
            "from": "2026-01-01",
            "to": "2026-01-31",
            "lines": [{"call_id": f"{name}.1", "cost": 1}],
        },
        "/cost-management/reconciliations/import": f"call_id,cost\n{name}.1,1",
        "/projects": {"name": name, "description": name},
        "/projects/import": f"name\n{name}",
        "/workflows": {"name": f"Workflow {name}", "description": name, **WAITING},
        "/workflows/import": json.loads(TEAM.read_text()),
        "/workflows/generate": {"description": name, "name": f"Drawn {name}"},
        "/workflows/validate": {"name": name, **WAITING},
        "/keys": {"name": name, "scopes": ["read"]},
        "/agents/validate": {"agent_id": AGENT, "response": name, "signature": name},
        "/agent-signatures/sign": {"agent_id": AGENT, "content": name},
        "/agent-signatures/verify": {"agent_id": AGENT, "content": name, "signature": name},
        "/schedules": {
            "name": name,
            "target": {"kind": "chat", "agent_id": AGENT, "message": name},
            "cron": "0 0 1 1 *",
        },
        "/serialization/save": {"component_id": name, "component_type": "memory", "state": {"text": name}},
        "/telemetry/events": {"event_type": name, "agent_id": name, "metadata": {"text": name}},
        "/vector/index": {"title": name, "content": name, "document_id": name, "collection": name},
        "/vector/index/file": name.encode(),
        "/vector/search": {"query": name},
        "/vector/embed": {"text": name},
        "/approvals/batch": {"decisions": [{"id": "approval_nobodys", "decision": "approve"}]},
    }


@dataclass
class Made:
    """What acme has made, by the names of the parameters that lead there."""

    system: System
    ids: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, body: Any = None, headers: dict[str, str] = OF_ACME) -> httpx.Response:
        query = QUERIES.get(path, {})
        table = isinstance(body, str)
        sent: dict[str, Any] = {"content": body} if table else {"json": body}
        if isinstance(body, bytes):
            sent = {"files": {"file": (f"{body.decode()}.txt", body, "text/plain")}}
        media = {"content-type": "text/csv"} if table else {}
        answer = await self.system.http.post(address(path), **sent, headers={**headers, **media}, params=query)
        assert answer.status_code in {200, 201, 202}, f"{path}: {answer.text}"
        return answer

    async def create(self) -> None:
        """Everything that a caller can make."""
        for tenant_id in ("acme", "zeta"):
            await self.post("/tenants", {"id": tenant_id, "name": tenant_id}, headers={"X-API-Key": ADMIN_KEY})
        for path, body in bodies(MARK).items():
            made = (await self.post(path, body)).json()
            if path in IDS:
                name, key = IDS[path]
                self.ids[name] = str(made[key])
        self.ids |= {"turn": "1", "version": "1"}
        await self.post(f"/agent-management/{self.ids['agent_id']}/deploy", {})
        await self.post(f"/agents/chat/{self.ids['session_id']}/turns/1/rating", {"rating": 5, "comment": MARK})
        await self.post(f"/agents/chat/{self.ids['session_id']}/fork", {"turn": 1})
        held = {"agent_id": self.ids["agent_id"], "message": MARK, "require_approval": True}
        self.ids["approval_id"] = (await self.post("/agents/chat", held)).json()["approval_id"]
        run = await self.post(
            f"/workflows/{self.ids['workflow_id']}/execute", {"input": {"request": MARK}, "context": {"a": MARK}}
        )
        self.ids["execution_id"] = run.json()["execution_id"]
        await self.post(f"/schedules/{self.ids['schedule_id']}/trigger")
        await self.put_limit(OF_ACME)
        await self._settled()

    async def put_limit(self, headers: dict[str, str]) -> None:
        """A limit that both tenants can have."""
        body = {"limits": [{"scope": f"agent:{MARK}", "window": "month", "limit_usd": 9}]}
        answer = await self.system.http.put(address(OWN[1]), json=body, headers=headers)
        assert answer.status_code == 200, answer.text

    async def _settled(self) -> None:
        """Wait until nothing moves but what waits for a person or an event."""

        async def unended() -> list[str]:
            listed = (await self.system.http.get(f"{API}/swarm", headers=OF_ACME)).json()["data"]
            return [each["task_id"] for each in listed if each["status"] in {"pending", "running"}]

        await until(unended, lambda left: not left, seconds=60)
        await until(
            lambda: self.system.http.get(f"{API}/erasures/{self.ids['erasure_id']}", headers=OF_ACME),
            lambda answer: answer.json()["status"] == "completed",
            seconds=60,
        )
        await until(
            lambda: self.system.http.get(f"{API}/vector/documents?status=processing", headers=OF_ACME),
            lambda answer: answer.json()["total"] == 0,
            seconds=60,
        )
        path = f"{API}/workflows/{self.ids['workflow_id']}/status"
        await until(
            lambda: self.system.http.get(path, headers=OF_ACME),
            lambda answer: answer.json().get("current_nodes") == ["wait"],
            seconds=30,
        )

    async def shown_at_rest(self) -> dict[str, str]:
        """The same, once nothing of it changes any more: views and the ends of runs come a moment later."""
        shown, after = await self.shown(), None
        while shown != after:
            await asyncio.sleep(1)
            shown, after = await self.shown(), shown
        return shown

    async def shown(self) -> dict[str, Any]:
        """All that acme can read, by its address, without what moves by itself."""
        shown = {}
        for method, template in routes(self.system):
            if method == "GET":
                asked = QUERIES.get(template)
                answer = await self.system.http.get(self.path(template), headers=OF_ACME, params=asked)
                assert answer.status_code == 200, f"{template}: {answer.text}"
                shown[template] = MOVING.sub("", answer.text)
                if template == "/telemetry/metrics":
                    shown[template] = RANGE.sub("", shown[template])
        return shown

    def marks_of(self, text: str) -> list[str]:
        """What in a text is acme's own: its mark, its key, its name in an id, ids of what it has made."""
        own = {each for name, each in self.ids.items() if name != "session_id" and not each.isdecimal()}
        return [word for word in (MARK, "key_acme", "acme~", *sorted(own)) if word in text]

    def path(self, template: str) -> str:
        """The template with acme's ids; the test fails where it has a parameter that nobody has made anything for."""
        return address(re.sub(r"\{(\w+)\}", lambda found: self.ids[found[1]], _runbook(template)))


def address(path: str) -> str:
    """Paths are below `/api/v1`, except for those of `ROOTS`."""
    path = _runbook(path)
    return path if path.startswith(ROOTS) else API + path


def _runbook(path: str) -> str:
    return path.replace(RUNBOOK, "clear-cache")


def routes(system: System) -> Iterator[tuple[str, str]]:
    """Methods and templates of all routes, relative to `/api/v1` where they are below it, but the operators'."""
    for route in system.app.routes:
        if not isinstance(route, APIRoute) or route.path.startswith(OPERATORS):
            continue
        assert route.path.startswith((f"{API}/", *ROOTS)), (
            f"{route.path} belongs to nobody: is it the operators' or a tenant's?"
        )
        for method in sorted(route.methods):
            yield method, route.path.removeprefix(API)


def script(model: ScriptedModel) -> None:
    """Answers of the shapes that Ali and the designer are asked for."""
    team = {"members": ["amy_cfo", "omri_data_scientist"], "mode": "sequential", "coordinator": None, "rationale": "."}
    model.script(
        {"shape": "ali_answer", "text": json.dumps({"answer": "Yes.", "suggested_actions": []}), "times": 9},
        {"shape": "ali_team_5", "text": json.dumps(team), "times": 9},
        {"shape": "graphflow_design", "text": json.dumps(DRAWN), "times": 9},
    )


async def test_no_route_shows_or_changes_what_another_tenant_has_made(
    shared: System, scripted_model: ScriptedModel
) -> None:
    script(scripted_model)
    acme = Made(shared)
    await acme.create()
    before = await acme.shown_at_rest()
    assert {template for template, text in before.items() if not acme.marks_of(text)} <= FIGURES
    walked = list(routes(shared))
    unwalked = set(walked)
    for method, template in walked:
        path, body = acme.path(template), BODIES.get((method, template), {} if method != "GET" else None)
        if (template in bodies(MARK) and method == "POST") or (method, template) == OWN:
            continue  # done below, once all that is there was tried
        asked_for = QUERIES.get(template)
        answer = await shared.http.request(method, path, json=body, headers=OF_ZETA, params=asked_for)
        unwalked.remove((method, template))
        if method == "GET":
            assert answer.status_code in ({200, 404} if "{" in template else {200}), f"{template}: {answer.text}"
        else:
            assert answer.status_code == 404, f"{method} {template}: {answer.status_code} {answer.text}"
        assert_nothing_of(acme, answer)
    asked = list(filters(acme))
    assert len(asked) > 10, "lists are filtered by ids"
    for path, parameters in asked:
        answer = await shared.http.get(
            path, params=parameters | QUERIES.get(path.removeprefix(API), {}), headers=OF_ZETA
        )
        assert answer.status_code == 200, answer.text
        assert_nothing_of(acme, answer)
    assert await acme.shown() == before
    for path, body in bodies(MARK).items():
        made = await acme.post(path, body, headers=OF_ZETA)
        unwalked.remove(("POST", path))
        assert not {acme.ids[name] for name in ("task_id", "execution_id", "approval_id")} & set(made.text.split('"'))
    await acme.put_limit(OF_ZETA)
    unwalked.remove(OWN)
    assert not unwalked
    assert await acme.shown() == before


def filters(acme: Made) -> Iterator[tuple[str, dict[str, str]]]:
    """The lists, each asked for one of acme's ids, by the names of the parameters in the API's description."""
    own = {**acme.ids, "key_id": "key_acme", "requested_by": "key_acme", "q": MARK, "capability": MARK}
    for path, described in acme.system.app.openapi()["paths"].items():
        if path.startswith(API) and "get" in described and "{" not in path:
            for parameter in described["get"].get("parameters", ()):
                if parameter.get("name") in own:
                    yield path, {parameter["name"]: own[parameter["name"]]}


def assert_nothing_of(acme: Made, answer: httpx.Response) -> None:
    """Zeta has made nothing yet: whatever it reads, it is told of nothing of acme's."""
    own = acme.marks_of(answer.text)
    if answer.status_code == 404:  # a refusal may repeat what was asked for
        own = [word for word in own if word not in str(answer.request.url)]
    assert not own, f"{answer.request.method} {answer.request.url}: {own} in {answer.text}"
    body = answer.json() if answer.headers["content-type"].startswith("application/json") else {}
    if "current_period" in body:
        assert (body["current_period"]["requests"], body["by_agent"]) == (0, [])
