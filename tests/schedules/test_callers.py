"""Schedules act as a caller, and no longer than that caller may act."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.ids import derived_id
from domain.keys.oidc import subject_id
from domain.schedules.ports import FiringWithReason, RefusedWork, ScheduledWork, StartedWork
from runtime.wiring.schedules import work_starter
from tests.schedules.stage import NEVER, OFTEN, PATH, call, chat, fired, make
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

AS_ADMIN = {"X-API-Key": ADMIN_KEY}


async def new_key(system: System, **more: Any) -> dict[str, Any]:
    body = {"name": f"Key {uuid4().hex[:8]}", "scopes": ["read", "write"], **more}
    answer = await system.http.post("/api/v1/keys", json=body, headers=AS_ADMIN)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


def holding(key: dict[str, Any]) -> dict[str, str]:
    return {"X-API-Key": key["key"]}


async def revoke(system: System, key: dict[str, Any]) -> None:
    answer = await system.http.delete(f"/api/v1/keys/{key['id']}", headers=AS_ADMIN)
    assert answer.status_code == 200, answer.text


def work_of(caller_id: str, tenant_id: str = "default") -> ScheduledWork:
    key = derived_id("test.work", uuid4().hex)
    return ScheduledWork("chat", chat(), tenant_id, caller_id, because="firing_1", key=key)


async def test_a_revoked_key_starts_nothing_until_another_one_changes_its_schedule(
    shared: System, scripted_model: ScriptedModel
) -> None:
    key = await new_key(shared)
    made = await make(shared, headers=holding(key))
    assert made["acts_as"] == key["id"]
    await call(shared, made, "trigger")
    (firing,) = await fired(shared, made)
    assert firing["status"] == "accepted"
    await revoke(shared, key)
    await call(shared, made, "trigger")
    (refused, _) = await fired(shared, made, 2)
    assert (refused["status"], refused["run"], refused["error"]["code"]) == ("refused", None, "UNAUTHORIZED")
    assert refused["error"]["message"] == f"the key {key['id']} is revoked"
    calls = await shared.calls(session_id=firing["run"]["id"])
    assert {each["key_id"] for each in calls} == {key["id"]}
    other = await new_key(shared)
    changed = await shared.http.put(f"{PATH}/{made['id']}", json={"name": "Ours now"}, headers=holding(other))
    assert (changed.status_code, changed.json()["acts_as"]) == (200, other["id"])
    await call(shared, made, "trigger")
    (firing, *_) = await fired(shared, made, 3)
    assert firing["status"] == "accepted"


async def test_an_expired_key_starts_nothing(shared: System) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    key = await new_key(shared, expires_at=soon.isoformat())
    made = await make(shared, headers=holding(key), **OFTEN, start_at=(soon + timedelta(seconds=1)).isoformat())
    (firing, *_) = await fired(shared, made)
    assert (firing["trigger"], firing["status"], firing["error"]["code"]) == ("schedule", "refused", "UNAUTHORIZED")
    assert firing["error"]["message"] == f"the key {key['id']} is expired"
    await shared.http.delete(f"{PATH}/{made['id']}")


async def test_a_rotated_key_goes_on(shared: System, scripted_model: ScriptedModel) -> None:
    key = await new_key(shared)
    made = await make(shared, headers=holding(key), **NEVER)
    rotated = await shared.http.post(f"/api/v1/keys/{key['id']}/rotate", json={"overlap_s": 0}, headers=AS_ADMIN)
    assert rotated.status_code == 201, rotated.text
    await call(shared, made, "trigger")
    (firing,) = await fired(shared, made)
    assert firing["status"] == "accepted"


async def test_the_schedules_of_a_deleted_tenant_start_nothing(shared: System) -> None:
    tenant_id = f"t-{uuid4().hex[:12]}"
    body = {"id": tenant_id, "name": "Gone & Sons"}
    assert (await shared.http.post("/api/v1/tenants", json=body, headers=AS_ADMIN)).status_code == 201
    key = await new_key(shared, tenant_id=tenant_id)
    made = await make(shared, headers=holding(key), **OFTEN)
    assert (await shared.http.delete(f"/api/v1/tenants/{tenant_id}", headers=AS_ADMIN)).status_code == 200

    async def newest() -> FiringWithReason | None:
        page = shared.parts.schedules.firings(made["id"], skip=0, limit=1)
        return page.firings[0] if page.firings else None

    found = await until(newest, lambda it: it is not None and it.row.status == "refused", seconds=30)
    assert found is not None
    assert (found.row.code, found.reason) == ("UNAUTHORIZED", f"the tenant {tenant_id} was deleted")


async def test_callers_without_a_stored_key_go_on(shared: System, scripted_model: ScriptedModel) -> None:
    starter = work_starter(shared.settings, shared.parts, shared.temporal)
    for caller_id in ("anonymous", "key_admin", subject_id("https://login.example.com", "ada")):
        assert isinstance(await starter.start(work_of(caller_id)), StartedWork), caller_id


async def test_work_that_an_earlier_attempt_started_is_accepted_though_the_key_is_revoked_since(
    shared: System, scripted_model: ScriptedModel
) -> None:
    key = await new_key(shared)
    starter, work = work_starter(shared.settings, shared.parts, shared.temporal), work_of(key["id"])
    started = await starter.start(work)
    await revoke(shared, key)
    assert await starter.start(work) == started
    refused = await starter.start(work_of(key["id"]))
    assert isinstance(refused, RefusedWork)
    assert refused.code == "UNAUTHORIZED"
