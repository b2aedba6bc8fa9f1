"""Keys and tenants over the API, against the whole system with keys required."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from structlog.testing import capture_logs

from adapters.postgres.projections.rebuild import Rebuild
from domain.keys.projection import KeysProjection
from domain.tenants.projection import TenantsProjection
from runtime.processes.api import make_app
from runtime.wiring.parts import make_parts
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, AGENT, CHAT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = "/api/v1/keys"
TENANTS = "/api/v1/tenants"
COSTS = "/api/v1/cost-management/usage"
AS_ADMIN = {"authorization": f"Bearer {ADMIN_KEY}"}
IN_FORCE_S = 1.0
"""The time within which a revocation is in force everywhere."""


@asynccontextmanager
async def another_api(system: System) -> AsyncIterator[httpx.AsyncClient]:
    """Another API on the same database, with parts of its own."""
    app = make_app(system.settings, make_parts(system.settings), system.temporal)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield http


def holding(key: str) -> dict[str, str]:
    return {"x-api-key": key}


async def made(system: System, headers: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    body = {"name": f"Key {uuid4().hex[:8]}", "scopes": ["read", "write"], **changes}
    answer = await system.http.post(KEYS, json=body, headers=AS_ADMIN | (headers or {}))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def new_tenant(system: System) -> str:
    tenant_id = f"t-{uuid4().hex[:12]}"
    answer = await system.http.post(TENANTS, json={"id": tenant_id, "name": "Tenant & Sons"}, headers=AS_ADMIN)
    assert answer.status_code == 201, answer.text
    return tenant_id


async def status(http: httpx.AsyncClient, key: str, path: str = COSTS) -> int:
    return (await http.get(path, headers=holding(key))).status_code


async def refused_within(http: httpx.AsyncClient, key: str) -> float:
    """The seconds until a key is refused."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await until(lambda: status(http, key), lambda code: code == 401, seconds=5)
    return loop.time() - began


async def test_a_key_is_valid_as_soon_as_it_is_created_and_shown_once(guarded: System) -> None:
    key = await made(guarded, name="For CI")
    assert key["key"].startswith(f"{key['prefix']}")
    assert len(key["key"]) >= 4 + 32 + 1 + 43
    assert set(key) >= {"id", "key", "prefix", "name", "scopes", "tenant_id", "expires_at", "created_at"}
    assert await status(guarded.http, key["key"]) == 200
    one = await guarded.http.get(f"{KEYS}/{key['id']}", headers=AS_ADMIN)
    assert one.json()["name"] == "For CI"
    assert one.json()["status"] == "active"
    assert one.headers["etag"] == '"1"'
    listed = await guarded.http.get(KEYS, headers=AS_ADMIN)
    assert key["id"] in {each["id"] for each in listed.json()["data"]}
    for answer in (one, listed):
        assert "x-convergio-stale" not in answer.headers
        assert key["key"] not in answer.text
        assert '"key"' not in answer.text


async def test_a_text_that_differs_in_its_last_character_is_refused(guarded: System) -> None:
    key = (await made(guarded))["key"]
    assert await status(guarded.http, key[:-1] + ("A" if key[-1] != "A" else "B")) == 401
    assert await status(guarded.http, key) == 200


async def test_a_repeat_omits_the_text_and_creates_nothing(guarded: System) -> None:
    body, headers = {"name": "Once", "scopes": ["read"]}, AS_ADMIN | {"idempotency-key": uuid4().hex}
    first, *repeats = await asyncio.gather(
        *(guarded.http.post(KEYS, json=body, headers=headers) for _ in range(5))
    )  # they race
    answers = [first, *repeats]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    shown = [answer for answer in answers if "key" in answer.json()]
    assert len(shown) == 1
    assert await status(guarded.http, shown[0].json()["key"]) == 200
    for answer in answers:
        if answer not in shown:
            assert answer.headers["idempotency-replayed"] == "true"
            assert int(answer.headers["content-length"]) == len(answer.content)


async def test_the_text_stands_in_no_table_and_in_no_log(guarded: System) -> None:
    with capture_logs() as logs:
        key = await made(guarded, {"idempotency-key": uuid4().hex})
        rotated = await guarded.http.post(
            f"{KEYS}/{key['id']}/rotate", headers=AS_ADMIN | {"idempotency-key": uuid4().hex}
        )
        await status(guarded.http, key["key"])
        await guarded.http.post(KEYS, json={"name": "x", "scopes": ["read"]}, headers=holding(key["key"]))
        await status(guarded.http, key["key"][:-1])
    texts = [key["key"], rotated.json()["key"], key["key"][:-1]]
    secrets = [text.split("_", 2)[2][:20] for text in texts]
    assert logs
    assert not any(secret in str(logs) for secret in secrets)
    with psycopg.connect(guarded.settings.database_url or "") as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            for secret in secrets:
                for form in (secret, secret.encode().hex()):  # bytes are shown in hex
                    asked = SQL("SELECT count(*) FROM {} AS t WHERE strpos(t::text, %s) > 0").format(Identifier(table))
                    found = connection.execute(asked, (form,)).fetchone()
                    assert found == (0,), table


async def test_a_revoked_key_is_refused_by_every_api_within_a_second(guarded: System) -> None:
    key = await made(guarded)
    async with another_api(guarded) as other:
        for http in (guarded.http, other):
            await until(lambda http=http: status(http, key["key"]), lambda code: code == 200)  # both have it cached
        answer = await guarded.http.delete(f"{KEYS}/{key['id']}", headers=AS_ADMIN)
        assert answer.json() == {"id": key["id"], "status": "deleted"}
        times = await asyncio.gather(*(refused_within(http, key["key"]) for http in (guarded.http, other)))
    assert max(times) < IN_FORCE_S, times
    again = await guarded.http.delete(f"{KEYS}/{key['id']}", headers=AS_ADMIN)
    assert again.status_code == 200
    shown = (await guarded.http.get(f"{KEYS}/{key['id']}", headers=AS_ADMIN)).json()
    assert shown["status"] == "revoked"
    rotated = await guarded.http.post(f"{KEYS}/{key['id']}/rotate", headers=AS_ADMIN)
    assert rotated.status_code == 409


async def test_a_rotated_key_keeps_its_sessions_and_its_old_text_dies_with_the_overlap(
    guarded: System, scripted_model: ScriptedModel
) -> None:
    del scripted_model
    key = await made(guarded)
    said = {"agent_id": AGENT, "message": "Hello."}
    chat = await guarded.http.post(CHAT, json=said, headers=holding(key["key"]))
    assert chat.status_code == 200, chat.text
    rotated = await guarded.http.post(f"{KEYS}/{key['id']}/rotate", json={"overlap_s": 1}, headers=AS_ADMIN)
    assert rotated.status_code == 201, rotated.text
    new = rotated.json()
    assert new["id"] == key["id"]
    assert new["key"] != key["key"]
    path = f"{CHAT}/{chat.json()['session_id']}"
    assert await status(guarded.http, new["key"], path) == 200
    assert await status(guarded.http, key["key"], path) == 200
    await asyncio.sleep(1.0)
    assert await status(guarded.http, key["key"], path) == 401
    assert await status(guarded.http, new["key"], path) == 200


async def test_a_key_expires_at_its_moment_although_it_is_cached(guarded: System) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=1.5)
    key = await made(guarded, expires_at=moment.isoformat())
    assert await status(guarded.http, key["key"]) == 200
    await asyncio.sleep((moment - datetime.now(UTC)).total_seconds())
    assert await status(guarded.http, key["key"]) == 401
    assert (await guarded.http.get(f"{KEYS}/{key['id']}", headers=AS_ADMIN)).json()["status"] == "expired"


async def test_no_key_grants_or_gets_a_scope_that_its_creator_lacks(guarded: System) -> None:
    lesser = await made(guarded, scopes=["admin", "read"])
    other = await made(guarded, scopes=["read", "write"])
    as_lesser = holding(lesser["key"])
    refused = await guarded.http.post(KEYS, json={"name": "n", "scopes": ["read", "write"]}, headers=as_lesser)
    assert refused.status_code == 403
    assert (await guarded.http.post(KEYS, json={"name": "n", "scopes": ["read"]}, headers=as_lesser)).status_code == 201
    rotated = await guarded.http.post(f"{KEYS}/{other['id']}/rotate", headers=as_lesser)
    assert rotated.status_code == 403, "its new text would give the caller the scope write"
    assert (await guarded.http.get(KEYS, headers=holding(other["key"]))).status_code == 403


async def test_a_key_belongs_to_the_tenant_that_an_admin_names(guarded: System) -> None:
    tenant_id = await new_tenant(guarded)
    key = await made(guarded, tenant_id=tenant_id)
    assert key["id"].startswith(f"key_{tenant_id}~")
    assert await status(guarded.http, key["key"]) == 200
    path = f"{KEYS}/{key['id']}"
    assert (await guarded.http.get(path, headers=AS_ADMIN)).status_code == 404
    assert (await guarded.http.delete(path, headers=AS_ADMIN)).status_code == 404
    named = await guarded.http.get(path, params={"tenant_id": tenant_id}, headers=AS_ADMIN)
    assert named.json()["tenant_id"] == tenant_id
    listed = await guarded.http.get(KEYS, params={"tenant_id": tenant_id}, headers=AS_ADMIN)
    assert [each["id"] for each in listed.json()["data"]] == [key["id"]]


async def test_there_is_no_key_for_a_tenant_that_is_not(guarded: System) -> None:
    body = {"name": "n", "scopes": ["read"], "tenant_id": "nobody"}
    answer = await guarded.http.post(KEYS, json=body, headers=AS_ADMIN)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "tenant_id"


async def test_the_keys_of_a_deleted_tenant_are_refused_within_a_second(guarded: System) -> None:
    tenant_id = await new_tenant(guarded)
    key = await made(guarded, tenant_id=tenant_id)
    assert await status(guarded.http, key["key"]) == 200
    answer = await guarded.http.delete(f"{TENANTS}/{tenant_id}", headers=AS_ADMIN)
    assert answer.json() == {"id": tenant_id, "status": "deleted"}
    assert await refused_within(guarded.http, key["key"]) < IN_FORCE_S
    body = {"name": "n", "scopes": ["read"], "tenant_id": tenant_id}
    assert (await guarded.http.post(KEYS, json=body, headers=AS_ADMIN)).status_code == 422
    shown = (await guarded.http.get(f"{TENANTS}/{tenant_id}", headers=AS_ADMIN)).json()
    assert (shown["status"], shown["name"]) == ("deleted", "Tenant & Sons")
    again = await guarded.http.post(TENANTS, json={"id": tenant_id, "name": "n"}, headers=AS_ADMIN)
    assert again.status_code == 409


async def test_the_tenant_default_is_always_there(guarded: System) -> None:
    listed = (await guarded.http.get(TENANTS, headers=AS_ADMIN)).json()["data"]
    (default,) = [each for each in listed if each["id"] == "default"]
    assert default["status"] == "active"
    assert (await guarded.http.delete(f"{TENANTS}/default", headers=AS_ADMIN)).status_code == 409
    assert (await guarded.http.post(TENANTS, json={"id": "default", "name": "n"}, headers=AS_ADMIN)).status_code == 409


async def test_a_tenant_that_is_created_twice_at_once_is_created_once(guarded: System) -> None:
    body = {"id": f"t-{uuid4().hex[:12]}", "name": "Raced"}
    answers = await asyncio.gather(*(guarded.http.post(TENANTS, json=body, headers=AS_ADMIN) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    headers = AS_ADMIN | {"idempotency-key": uuid4().hex}
    body = {"id": f"t-{uuid4().hex[:12]}", "name": "Repeated"}
    assert [(await guarded.http.post(TENANTS, json=body, headers=headers)).status_code for _ in "ab"] == [201, 201]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "scopes": ["read"]},
        {"name": "x" * 201, "scopes": ["read"]},
        {"name": "a\x00b", "scopes": ["read"]},
        {"name": "half \ud800 pair", "scopes": ["read"]},
        {"name": "n", "scopes": []},
        {"name": "n", "scopes": ["metrics"]},
        {"name": "n", "scopes": ["read"], "tenant_id": "No Such"},
        {"name": "n", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "n", "scopes": ["read"], "expires_at": "9999-12-31T23:59:59-12:00"},
        {"name": "n", "scopes": ["read"], "expires_at": 10**30},
        {"name": "n", "scopes": ["read"], "more": 1},
    ],
)
async def test_what_no_key_can_be_is_refused(guarded: System, body: dict[str, Any]) -> None:
    text = json.dumps(body).encode()  # httpx cannot encode half a surrogate pair
    headers = AS_ADMIN | {"content-type": "application/json"}
    answer = await guarded.http.post(KEYS, content=text, headers=headers)
    assert answer.status_code in {400, 422}, answer.text


async def test_if_match_keeps_a_key_that_has_changed_from_being_revoked(guarded: System) -> None:
    key = await made(guarded)
    await guarded.http.post(f"{KEYS}/{key['id']}/rotate", headers=AS_ADMIN)
    path = f"{KEYS}/{key['id']}"
    assert (await guarded.http.delete(path, headers=AS_ADMIN | {"if-match": '"1"'})).status_code == 412
    assert (await guarded.http.delete(path, headers=AS_ADMIN | {"if-match": '"2"'})).status_code == 200


async def test_the_last_use_is_noted(guarded: System) -> None:
    key = await made(guarded)
    path = f"{KEYS}/{key['id']}"
    assert (await guarded.http.get(path, headers=AS_ADMIN)).json()["last_used_at"] is None
    assert await status(guarded.http, key["key"]) == 200
    shown = await until(
        lambda: guarded.http.get(path, headers=AS_ADMIN), lambda answer: answer.json()["last_used_at"] is not None
    )
    assert shown.json()["version"] == 1, "a use is no event"


async def test_a_thousand_keys_are_listed_in_stable_pages(guarded: System) -> None:
    tenant_id = await new_tenant(guarded)
    ids = set()
    for _ in range(20):
        ids |= {each["id"] for each in await asyncio.gather(*(made(guarded, tenant_id=tenant_id) for _ in range(50)))}
    listed: list[str] = []
    for skip in range(0, 1000, 70):
        query = {"tenant_id": tenant_id, "skip": str(skip), "limit": "70"}
        answer = await guarded.http.get(KEYS, params=query, headers=AS_ADMIN)
        page = answer.json()
        assert page["pagination"]["total"] == 1000
        listed += [each["id"] for each in page["data"]]
    assert len(listed) == 1000
    assert set(listed) == ids


async def test_the_views_are_rebuilt_to_the_same(guarded: System) -> None:
    await made(guarded, tenant_id=await new_tenant(guarded))
    for projection in (KeysProjection(), TenantsProjection()):
        rebuild = Rebuild(guarded.settings.database_url or "", guarded.parts.registry, projection)
        rebuilt = await asyncio.to_thread(rebuild.run, swap=False)
        assert [comparison.equal for comparison in rebuilt.comparisons] == [True]
        assert rebuilt.set_aside == 0
