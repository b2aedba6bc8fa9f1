"""A tenant is erased with everything that it made, and another one is untouched."""

from typing import Any
from uuid import uuid4

import psycopg

from tests.erasures.stage import erased, figures, in_tables, places
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, CHAT, OF_ACME, OF_ZETA, System, until

API = "/api/v1"


async def make(system: System, mark: str, headers: dict[str, str]) -> str:
    """One of everything that holds a text; returns the swarm's id."""

    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await system.http.post(f"{API}{path}", json=body, headers={**headers, "Idempotency-Key": uuid4().hex})
        assert answer.status_code in {200, 201, 202}, answer.text
        return dict(answer.json())

    context = {"user_id": mark, "session_id": "s1"}
    await post("/agents/chat", {"agent_id": AGENT, "message": mark, "context": context})
    await post("/agents/chat", {"agent_id": AGENT, "message": mark, "require_approval": True})
    await post("/talents", {"name": mark, "email": f"{mark}@example.com"})
    client = await post("/clients", {"name": mark})
    await post("/projects", {"name": mark, "client_id": client["id"]})
    await post("/keys", {"name": mark, "scopes": ["read"]})
    target = {"kind": "chat", "agent_id": AGENT, "message": mark}
    await post("/schedules", {"name": mark, "target": target, "cron": "0 0 1 1 *"})
    await post("/serialization/save", {"component_id": "c", "component_type": "memory", "state": {"text": mark}})
    invoice = {"provider": "openai", "from": "2026-01-01", "to": "2026-01-31"}
    await post("/cost-management/reconciliations", {**invoice, "lines": [{"call_id": f"{mark}.1", "cost": 1}]})
    event = {"event_type": mark, "agent_id": mark, "metadata": {"text": mark}, "event_id": mark}
    measured = await system.http.post("/telemetry/events", json=event, headers=headers)
    assert measured.json()["accepted"] == 1
    swarm = await post("/swarm/coordinate", {"task": mark, "agents": ["amy_cfo"]})
    await until(
        lambda: system.http.get(f"{API}/swarm/status/{swarm['task_id']}", headers=headers),
        lambda answer: answer.json()["status"] == "completed",
        seconds=30,
    )
    return str(swarm["task_id"])


def secrets(system: System) -> list[str]:
    with psycopg.connect(str(system.settings.database_url)) as connection:
        rows = connection.execute("SELECT DISTINCT tenant_id FROM tenant_secrets ORDER BY tenant_id").fetchall()
    return [row[0] for row in rows]


async def test_a_tenant_is_erased_and_another_one_is_untouched(system: System, scripted_model: ScriptedModel) -> None:
    gone, kept = f"mark{uuid4().hex}", f"mark{uuid4().hex}"
    for tenant_id, mark in (("acme", gone), ("zeta", kept)):
        body = {"id": tenant_id, "name": mark}
        keyed = {"Idempotency-Key": uuid4().hex}
        assert (await system.http.post(f"{API}/tenants", json=body, headers=keyed)).status_code == 201
    await make(system, gone, OF_ACME)
    await make(system, kept, OF_ZETA)
    before, texts = figures(system), [found for found in in_tables(system, kept) if found.startswith("content")]
    assert len(in_tables(system, gone)) >= 2
    assert {"telemetry_events.metadata: 1", "telemetry_rollups.event_type: 1"} <= set(in_tables(system, gone))
    assert "reconciliation_findings.call_id: 1" in in_tables(system, gone)
    done = await erased(system, "tenant", "acme")
    assert done["removed"]["owners"] >= 10
    assert await places(system, gone) == []
    assert figures(system) == before
    assert [found for found in in_tables(system, kept) if found.startswith("content")] == texts
    assert "telemetry_rollups.event_type: 1" in in_tables(system, kept)
    assert "acme" not in secrets(system)
    assert "zeta" in secrets(system)
    session = (await system.http.get(f"{CHAT}/s1", headers=OF_ZETA)).json()
    assert session["turns"][0]["message"] == kept
    assert (await system.http.get(f"{API}/tenants/acme")).json()["status"] == "deleted"
