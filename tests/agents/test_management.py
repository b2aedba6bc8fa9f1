"""Agents that people make, against the whole system."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest

from adapters.postgres.projections.rebuild import Rebuild
from domain.agents.projection import AgentsProjection
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, CHAT, OF_ACME, OF_ZETA, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANAGED = "/api/v1/agent-management"
OTHER_KEY = {"Authorization": f"Bearer {ADMIN_KEY}"}
REFERENCE: dict[str, Any] = {
    "name": "Custom Agent",
    "description": "Specialized agent for custom tasks",
    "capabilities": ["task_automation", "data_analysis"],
    "tools": ["web_search", "database_query"],
    "system_prompt": "You are a specialized agent that helps.",
}


def an_agent(**changed: Any) -> dict[str, Any]:
    return {**REFERENCE, "name": f"Agent {uuid4().hex[:12]}", **changed}


async def made(system: System, **changed: Any) -> dict[str, Any]:
    """An agent that was made and not deployed."""
    answer = await system.http.post(f"{MANAGED}/create", json=an_agent(**changed))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def deployed(system: System, agent_id: str, **body: Any) -> dict[str, Any]:
    answer = await system.http.post(f"{MANAGED}/{agent_id}/deploy", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def in_service(system: System, **changed: Any) -> str:
    """The id of an agent that was made and deployed."""
    agent_id = (await made(system, **changed))["id"]
    await deployed(system, agent_id)
    return str(agent_id)


async def asked(system: System, agent_id: str, message: str = "Hello.", **more: Any) -> httpx.Response:
    return await system.http.post(CHAT, json={"agent_id": agent_id, "message": message, **more})


def told(scripted_model: ScriptedModel) -> str:
    """The instructions of the newest call on the bill."""
    return str(scripted_model.requests()[-1]["messages"][0]["content"])


def error(answer: httpx.Response) -> tuple[int, str, str | None]:
    body = answer.json()["error"]
    return answer.status_code, body["code"], body["details"].get("field")


async def test_the_agent_of_the_reference_is_made(shared: System) -> None:
    answer = await shared.http.post(f"{MANAGED}/create", json=REFERENCE)
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{MANAGED}/custom_agent"
    assert answer.headers["etag"] == '"1"'
    assert (body["id"], body["status"], body["version"], body["definition_version"]) == (
        "custom_agent",
        "inactive",
        1,
        1,
    )
    assert {name: body[name] for name in REFERENCE if name != "tools"} == {
        name: value for name, value in REFERENCE.items() if name != "tools"
    }
    assert body["tools"] == ["web_search", "query_analytics"]
    assert (body["deployed_version"], body["model"], body["approval"]) == (None, None, "none")
    assert (await shared.http.get(answer.headers["location"])).json() == body


async def test_an_agent_is_talked_to_once_it_is_deployed(shared: System, scripted_model: ScriptedModel) -> None:
    agent = await made(shared, system_prompt="You speak in rhymes.")
    assert (await asked(shared, agent["id"])).status_code == 404
    answer = await deployed(shared, agent["id"], environment="production")
    assert (answer["version"], answer["environment"], answer["status"]) == (1, "production", "active")
    assert (await asked(shared, agent["id"])).json()["status"] == "completed"
    assert "You speak in rhymes." in told(scripted_model)
    listed = (await shared.http.get(f"/api/v1/agents/{agent['id']}")).json()
    assert (listed["status"], listed["deployed_version"], listed["environment"]) == ("active", 1, "production")


async def test_new_chats_get_what_was_just_deployed(shared: System, scripted_model: ScriptedModel) -> None:
    agent_id = await in_service(shared, system_prompt="Version 1.")
    for number in range(2, 6):
        await shared.http.put(f"{MANAGED}/{agent_id}", json={"system_prompt": f"Version {number}."})
        await asked(shared, agent_id)
        assert f"Version {number - 1}." in told(scripted_model)
        await deployed(shared, agent_id)
        await asked(shared, agent_id)
        assert f"Version {number}." in told(scripted_model)


async def test_an_older_version_can_be_brought_back(shared: System, scripted_model: ScriptedModel) -> None:
    agent_id = await in_service(shared, system_prompt="The old ways.")
    await shared.http.put(f"{MANAGED}/{agent_id}", json={"system_prompt": "The new ways."})
    assert (await deployed(shared, agent_id))["version"] == 2
    assert (await deployed(shared, agent_id, version=1))["version"] == 1
    await asked(shared, agent_id)
    assert "The old ways." in told(scripted_model)
    [newest, oldest] = (await shared.http.get(f"{MANAGED}/{agent_id}/versions")).json()["data"]
    assert (newest["version"], newest["deployed"]) == (2, False)
    assert (oldest["version"], oldest["deployed"]) == (1, True)


async def test_work_that_runs_keeps_its_version(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 1.0})
    agent_id = await in_service(shared, system_prompt="Version 1.")
    answering = asyncio.create_task(asked(shared, agent_id, "Be slow."))
    await scripted_model.until(lambda bill: len(bill) == 1)
    await shared.http.put(f"{MANAGED}/{agent_id}", json={"system_prompt": "Version 2."})
    await deployed(shared, agent_id)
    answer = (await answering).json()
    assert answer["status"] == "completed"
    assert "Version 1." in told(scripted_model)
    await asked(shared, agent_id, "Go on.", context={"session_id": answer["session_id"]})
    assert "Version 2." in told(scripted_model)


async def test_a_retired_agent_gets_no_new_work_and_ends_what_it_does(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 1.0})
    agent_id = await in_service(shared)
    answering = asyncio.create_task(asked(shared, agent_id, "Be slow."))
    await scripted_model.until(lambda bill: len(bill) == 1)
    answer = await shared.http.delete(f"{MANAGED}/{agent_id}")
    assert (answer.status_code, answer.json()) == (200, {"id": agent_id, "status": "deleted"})
    assert (await asked(shared, agent_id)).status_code == 404
    done = (await answering).json()
    assert done["status"] == "completed"
    assert (await asked(shared, agent_id, context={"session_id": done["session_id"]})).status_code == 404
    listed = (await shared.http.get("/api/v1/agents?limit=1000")).json()["agents"]
    assert agent_id not in {agent["id"] for agent in listed}
    inactive = (await shared.http.get("/api/v1/agents?status=inactive&limit=1000")).json()["agents"]
    assert agent_id in {agent["id"] for agent in inactive}
    assert (await shared.http.get(f"/api/v1/agents/{agent_id}")).json()["retired_at"]


async def test_what_is_retired_stays_so(shared: System) -> None:
    agent_id = await in_service(shared)
    first = await shared.http.delete(f"{MANAGED}/{agent_id}")
    again = await shared.http.delete(f"{MANAGED}/{agent_id}")
    assert (again.status_code, again.headers["etag"]) == (200, first.headers["etag"])
    refused = await shared.http.put(f"{MANAGED}/{agent_id}", json={"description": "Back again."})
    assert refused.status_code == 409
    assert (await shared.http.post(f"{MANAGED}/{agent_id}/deploy", json={})).status_code == 409
    versions = (await shared.http.get(f"{MANAGED}/{agent_id}/versions")).json()["data"]
    assert [version["deployed"] for version in versions] == [False]


async def test_only_the_fields_given_change(shared: System) -> None:
    before = await made(shared, model="scripted", temperature=0.5, color="#a1b2c3", aliases=[f"al_{uuid4().hex[:8]}"])
    answer = await shared.http.put(f"{MANAGED}/{before['id']}", json={"description": "Does something else."})
    after = answer.json()
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"description", "fingerprint", "version", "definition_version", "updated_at"}
    assert (after["version"], after["definition_version"], after["color"]) == (2, 2, "#A1B2C3")
    assert answer.headers["etag"] == '"2"'


async def test_model_and_temperature_can_be_given_back(shared: System) -> None:
    agent = await made(shared, model="scripted", temperature=0.5)
    answer = await shared.http.put(f"{MANAGED}/{agent['id']}", json={"model": None, "temperature": None})
    assert (answer.json()["model"], answer.json()["temperature"]) == (None, None)


@pytest.mark.parametrize("body", [{}, {"description": REFERENCE["description"]}])
async def test_a_change_that_changes_nothing_makes_no_version(shared: System, body: dict[str, Any]) -> None:
    agent = await made(shared)
    answer = await shared.http.put(f"{MANAGED}/{agent['id']}", json=body)
    assert (answer.status_code, answer.json()) == (200, agent)


@pytest.mark.parametrize("verb", ["PUT", "DELETE"])
async def test_a_change_meant_for_another_version_is_refused(shared: System, verb: str) -> None:
    agent = await made(shared)
    path, body = f"{MANAGED}/{agent['id']}", {"json": {"color": "#000000"}} if verb == "PUT" else {}
    stale = await shared.http.request(verb, path, headers={"If-Match": '"7"'}, **body)
    assert error(stale)[:2] == (412, "PRECONDITION_FAILED")
    assert (await shared.http.get(path)).json() == agent
    assert (await shared.http.request(verb, path, headers={"If-Match": '"1"'}, **body)).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        ({"approval": "sometimes"}, "approval"),
        ({"id": "other"}, "id"),
        ({"instructions": "x"}, "instructions"),
        ({"tools": ["no_such_tool"]}, "tools"),
        ({"model": "no-such-model"}, "model"),
        ({"temperature": 3}, "temperature"),
        ({"aliases": ["chat"]}, "aliases"),
        ({"aliases": ["Not An Id"]}, "aliases.0"),
        ({"name": "two\nlines"}, "name"),
        ({"system_prompt": "  "}, "system_prompt"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(shared: System, body: dict[str, Any], field: str) -> None:
    agent = await made(shared)
    answer = await shared.http.put(f"{MANAGED}/{agent['id']}", json=body)
    assert error(answer)[:2] == (422, "VALIDATION_ERROR")
    assert error(answer)[2] == field
    if "name" not in body and "id" not in body:
        created = await shared.http.post(f"{MANAGED}/create", json=an_agent(**body))
        assert (error(created)[0], error(created)[2]) == (422, field)
    assert (await shared.http.get(f"{MANAGED}/{agent['id']}")).json() == agent


async def test_unknown_tools_are_named_together_with_the_known_ones(shared: System) -> None:
    answer = await shared.http.post(f"{MANAGED}/create", json=an_agent(tools=["delegate", "juggle", "teleport"]))
    message = answer.json()["error"]["message"]
    assert "juggle, teleport" in message
    assert "query_costs" in message


async def test_names_of_other_platforms_tools_are_understood(shared: System) -> None:
    agent = await made(shared, tools=["Task", "Read", "Write", "WebSearch", "web_search", "database_query", "delegate"])
    assert agent["tools"] == ["delegate", "search_knowledge", "request_approval", "web_search", "query_analytics"]


async def test_a_model_is_known_to_the_provider_or_to_the_price_list(shared: System) -> None:
    assert (await made(shared, model="scripted"))["model"] == "scripted"
    assert (await made(shared, model="gpt-4.1-mini"))["model"] == "gpt-4.1-mini"
    answer = await shared.http.post(f"{MANAGED}/create", json=an_agent(model="no-such-model"))
    assert error(answer) == (422, "VALIDATION_ERROR", "model")


async def test_a_taken_name_is_a_conflict_whatever_its_case(shared: System) -> None:
    agent = await made(shared)
    for name in (agent["name"], agent["name"].upper(), f"  {agent['name']} ", agent["name"].replace(" ", "  ")):
        answer = await shared.http.post(f"{MANAGED}/create", json=an_agent(name=name))
        assert error(answer) == (409, "CONFLICT", "name")


@pytest.mark.parametrize("name", ["ali - chief OF staff", "Ali Chief of Staff", "AMY CFO"])
async def test_names_and_ids_of_agents_that_ship_are_taken(shared: System, name: str) -> None:
    answer = await shared.http.post(f"{MANAGED}/create", json=an_agent(name=name))
    assert error(answer)[:2] == (409, "CONFLICT")


async def test_an_alias_may_not_lead_to_two_agents(shared: System) -> None:
    alias = f"al_{uuid4().hex[:8]}"
    agent = await made(shared, aliases=[alias])
    for taken in (alias, agent["id"], "amy_cfo", "ava_analytics_insights_virtuoso"):
        answer = await shared.http.post(f"{MANAGED}/create", json=an_agent(aliases=[taken]))
        assert error(answer) == (409, "CONFLICT", "aliases")
    answer = await shared.http.post(f"{MANAGED}/create", json=an_agent(name=alias.replace("_", " ")))
    assert error(answer)[:2] == (409, "CONFLICT")
    other = await made(shared)
    answer = await shared.http.put(f"{MANAGED}/{other['id']}", json={"aliases": [alias]})
    assert error(answer)[:2] == (409, "CONFLICT")


async def test_a_rename_takes_the_new_name_and_frees_the_old_one_once_it_is_deployed(shared: System) -> None:
    old, new = f"Old {uuid4().hex[:8]}", f"New {uuid4().hex[:8]}"
    agent_id = await in_service(shared, name=old)
    other = await made(shared)
    assert (await shared.http.put(f"{MANAGED}/{other['id']}", json={"name": old})).status_code == 409
    assert (await shared.http.put(f"{MANAGED}/{agent_id}", json={"name": new})).status_code == 200
    for taken in (old, new):
        assert (await shared.http.post(f"{MANAGED}/create", json=an_agent(name=taken))).status_code == 409
    await deployed(shared, agent_id)
    assert (await shared.http.put(f"{MANAGED}/{other['id']}", json={"name": old})).status_code == 200
    rollback = await shared.http.post(f"{MANAGED}/{agent_id}/deploy", json={"version": 1})
    assert error(rollback) == (409, "CONFLICT", "name")


async def test_the_name_of_a_deleted_agent_is_free_again(shared: System) -> None:
    name = f"Passing {uuid4().hex[:8]}"
    agent_id = await in_service(shared, name=name)
    await shared.http.delete(f"{MANAGED}/{agent_id}")
    for spelled in (name, name.upper()):
        key = {"Idempotency-Key": f"again_{uuid4().hex}"}
        body = an_agent(name=spelled, description="Anew.")
        answers = [await shared.http.post(f"{MANAGED}/create", json=body, headers=key) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert {answer.json()["id"] for answer in answers} == {agent_id}
        refused = await shared.http.post(f"{MANAGED}/create", json=an_agent(name=name))
        assert error(refused) == (409, "CONFLICT", "name")
        assert (await asked(shared, agent_id)).status_code == 404
        await deployed(shared, agent_id)
        assert (await asked(shared, agent_id)).status_code == 200
        read = (await shared.http.get(f"/api/v1/agents/{agent_id}")).json()
        assert (read["retired_at"], read["description"]) == (None, "Anew.")
        assert (await shared.http.delete(f"{MANAGED}/{agent_id}")).status_code == 200


async def test_a_retired_agent_gives_its_name_to_another_and_keeps_its_id(shared: System) -> None:
    alias, name = f"al_{uuid4().hex[:8]}", f"Passing {uuid4().hex[:8]}"
    agent_id = await in_service(shared, name=name, aliases=[alias])
    await shared.http.delete(f"{MANAGED}/{agent_id}")
    heir = await made(shared, aliases=[alias])
    renamed = await shared.http.put(f"{MANAGED}/{heir['id']}", json={"name": name})
    assert renamed.status_code == 200
    await deployed(shared, heir["id"])
    assert (await shared.http.get(f"/api/v1/agents/{alias}")).json()["id"] == heir["id"]


async def test_an_agent_that_ships_is_changed_by_nobody(shared: System) -> None:
    agent_id = "dan_engineering_gm"
    before = (await shared.http.get(f"{MANAGED}/{agent_id}")).json()
    for headers in ({}, OTHER_KEY, OF_ACME):
        answers = [
            await shared.http.put(f"{MANAGED}/{agent_id}", json={"name": "Dan the Second"}, headers=headers),
            await shared.http.post(f"{MANAGED}/{agent_id}/deploy", json={"version": 1}, headers=headers),
            await shared.http.delete(f"{MANAGED}/{agent_id}", headers=headers),
        ]
        assert [answer.status_code for answer in answers] == [403] * 3
        taken = await shared.http.post(f"{MANAGED}/create", json=an_agent(name=before["name"]), headers=headers)
        assert (taken.status_code, taken.json()["error"]["details"]["agent_id"]) == (409, agent_id)
        assert (await shared.http.get(f"{MANAGED}/{agent_id}", headers=headers)).json() == before


async def test_two_tenants_may_have_agents_of_one_name_and_each_talks_to_its_own(
    shared: System, scripted_model: ScriptedModel
) -> None:
    name = f"Wanted {uuid4().hex[:8]}"
    for headers, prompt in (({}, "Say first."), (OF_ACME, "Say second.")):
        body = an_agent(name=name, system_prompt=prompt)
        made = (await shared.http.post(f"{MANAGED}/create", json=body, headers=headers)).json()
        await shared.http.post(f"{MANAGED}/{made['id']}/deploy", json={}, headers=headers)
        answer = await shared.http.post(CHAT, json={"agent_id": made["id"], "message": "Hello."}, headers=headers)
        assert answer.status_code == 200, answer.text
        assert prompt in str(scripted_model.requests()[-1]["messages"][0])
    unknown = await shared.http.post(CHAT, json={"agent_id": made["id"], "message": "Hello."}, headers=OF_ZETA)
    assert unknown.status_code == 404


def codes(answers: Sequence[httpx.Response]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


async def test_of_many_who_want_a_name_at_once_one_gets_it(shared: System) -> None:
    name = f"Wanted {uuid4().hex[:8]}"
    spellings = [name, name.upper(), name.lower(), f"{name} ", name.replace(" ", " - ")]
    bodies = [an_agent(name=spellings[n % len(spellings)]) for n in range(15)]
    answers = await asyncio.gather(*(shared.http.post(f"{MANAGED}/create", json=body) for body in bodies))
    assert codes(answers) == [201] + [409] * 14


async def test_of_many_who_rename_to_a_name_at_once_one_gets_it(shared: System) -> None:
    agents = [await made(shared) for _ in range(8)]
    name, alias = f"Wanted {uuid4().hex[:8]}", f"al_{uuid4().hex[:8]}"
    for body in ({"name": name}, {"aliases": [alias]}):
        answers = await asyncio.gather(*(shared.http.put(f"{MANAGED}/{a['id']}", json=body) for a in agents))
        assert codes(answers) == [200] + [409] * 7


async def test_changes_at_once_all_count_unless_a_version_is_named(shared: System) -> None:
    agent = await made(shared)
    path = f"{MANAGED}/{agent['id']}"
    changes = [{"description": "Other."}, {"color": "#010203"}, {"temperature": 1.5}]
    assert codes(await asyncio.gather(*(shared.http.put(path, json=change) for change in changes))) == [200] * 3
    after = (await shared.http.get(path)).json()
    assert (after["description"], after["color"], after["temperature"]) == ("Other.", "#010203", 1.5)
    assert after["definition_version"] == 4
    tagged = {"If-Match": '"4"'}
    bodies = [{"description": f"Mine, {n}."} for n in range(5)]
    answers = await asyncio.gather(*(shared.http.put(path, json=body, headers=tagged) for body in bodies))
    assert codes(answers) == [200] + [412] * 4


async def test_the_same_key_makes_one_agent(shared: System) -> None:
    body, headers = an_agent(), {"Idempotency-Key": uuid4().hex}
    first, again = [await shared.http.post(f"{MANAGED}/create", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert (await shared.http.post(f"{MANAGED}/create", json=body)).status_code == 409


async def test_a_creation_whose_answer_was_lost_is_found_again(shared: System) -> None:
    body, headers = an_agent(), {"Idempotency-Key": uuid4().hex}
    first = await shared.http.post(f"{MANAGED}/create", json=body, headers=headers)
    with shared.parts.database.connection() as connection:
        connection.execute("DELETE FROM http_idempotency")
    again = await shared.http.post(f"{MANAGED}/create", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert "idempotency-replayed" not in again.headers


async def test_a_deployment_is_not_repeated_over_a_later_one(shared: System) -> None:
    agent_id = await in_service(shared)
    await shared.http.put(f"{MANAGED}/{agent_id}", json={"description": "Second."})
    headers = {"Idempotency-Key": uuid4().hex}
    path = f"{MANAGED}/{agent_id}/deploy"
    assert (await shared.http.post(path, json={"version": 2}, headers=headers)).json()["version"] == 2
    await deployed(shared, agent_id, version=1)
    with shared.parts.database.connection() as connection:
        connection.execute("DELETE FROM http_idempotency")
    assert (await shared.http.post(path, json={"version": 2}, headers=headers)).json()["version"] == 1


async def test_deploying_again_changes_nothing_but_the_environment(shared: System) -> None:
    agent_id = await in_service(shared)
    before = (await shared.http.get(f"{MANAGED}/{agent_id}")).json()["version"]
    await deployed(shared, agent_id)
    assert (await shared.http.get(f"{MANAGED}/{agent_id}")).json()["version"] == before
    assert (await deployed(shared, agent_id, environment="staging"))["environment"] == "staging"
    after = (await shared.http.get(f"{MANAGED}/{agent_id}")).json()
    assert (after["version"], after["environment"]) == (before + 1, "staging")


async def test_nothing_need_be_said_to_deploy(shared: System) -> None:
    agent = await made(shared)
    answer = await shared.http.post(f"{MANAGED}/{agent['id']}/deploy")
    assert (answer.status_code, answer.json()["version"], answer.headers["etag"]) == (200, 1, '"2"')


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "nobody"),
        ("PUT", "nobody"),
        ("DELETE", "nobody"),
        ("POST", "nobody/deploy"),
        ("GET", "nobody/versions"),
        ("GET", "nobody/versions/1"),
        ("GET", "amy_cfo/versions/99"),
    ],
)
async def test_what_is_not_there_is_not_found(shared: System, verb: str, path: str) -> None:
    body = {"json": {}} if verb in {"PUT", "POST"} else {}
    assert error(await shared.http.request(verb, f"{MANAGED}/{path}", **body))[:2] == (404, "NOT_FOUND")


async def test_a_version_that_was_never_written_cannot_be_deployed(shared: System) -> None:
    agent = await made(shared)
    assert (await shared.http.post(f"{MANAGED}/{agent['id']}/deploy", json={"version": 2})).status_code == 404


async def test_versions_tell_who_wrote_what_and_when(shared: System) -> None:
    agent = await made(shared, approval="high")
    await shared.http.put(f"{MANAGED}/{agent['id']}", json={"description": "Second."}, headers=OTHER_KEY)
    await deployed(shared, agent["id"])
    body = (await shared.http.get(f"{MANAGED}/{agent['id']}/versions?limit=1")).json()
    assert body["pagination"] == {"total": 2, "skip": 0, "limit": 1, "has_next": True, "has_prev": False}
    [newest] = body["data"]
    assert newest == (await shared.http.get(f"{MANAGED}/{agent['id']}/versions/2")).json()
    assert (newest["deployed"], newest["made_by"], newest["definition"]["description"]) == (
        True,
        "key_admin",
        "Second.",
    )
    oldest = (await shared.http.get(f"{MANAGED}/{agent['id']}/versions/1")).json()
    assert (oldest["deployed"], oldest["made_by"], oldest["fingerprint"]) == (False, "anonymous", agent["fingerprint"])
    assert oldest["created_at"] == agent["created_at"]
    assert oldest["definition"]["instructions"] == agent["system_prompt"]
    assert oldest["definition"]["approval"] == "high"


async def test_an_agent_is_heard_under_its_alias_as_soon_as_it_is_deployed(
    shared: System, scripted_model: ScriptedModel
) -> None:
    alias = f"al_{uuid4().hex[:8]}"
    agent_id = await in_service(shared, aliases=[alias])
    assert (await asked(shared, alias)).json()["agent_id"] == agent_id


async def test_the_registry_equals_its_rebuild(shared: System) -> None:
    database_url, registry = shared.settings.database_url or "", shared.parts.registry
    rebuilt = await asyncio.to_thread(Rebuild(database_url, registry, AgentsProjection()).run, swap=False)
    assert [comparison.equal for comparison in rebuilt.comparisons] == [True, True]
    assert rebuilt.set_aside == 0


async def test_agents_may_be_named_in_any_script(shared: System) -> None:
    agent = await made(shared, name=f"分析 {uuid4().hex[:4]} Ünïcode")
    assert agent["id"].isascii()
    await deployed(shared, agent["id"])
    listed = await until(lambda: shared.http.get(f"/api/v1/agents/{agent['id']}"), lambda answer: answer.is_success)
    assert listed.json()["name"] == agent["name"]
