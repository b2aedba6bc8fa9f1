"""Projects over the API, against the whole system."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from adapters.postgres.projections.rebuild import Rebuild
from domain.events import Cause
from domain.projects.projection import ProjectsProjection
from runtime.wiring.parts import now
from runtime.wiring.routes.people import make_project_commands
from tests.system import OF_ACME, OF_ZETA, System
from tests.talents import people
from tests.talents.people import error

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROJECTS = "/api/v1/projects"


async def made(system: System, headers: dict[str, str] | None = None, **changed: Any) -> dict[str, Any]:
    """A project that was created."""
    answer = await system.http.post(PROJECTS, json={"name": "Moon base", **changed}, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def a_client(system: System, headers: dict[str, str] | None = None) -> int:
    return int((await system.http.post("/api/v1/clients", json={"name": "Acme"}, headers=headers)).json()["id"])


async def test_a_project_is_created_changed_and_deleted(shared: System) -> None:
    client, members = await a_client(shared), [(await people.made(shared))["id"] for _ in range(2)]
    body = {
        "name": "Moon base 🌕",
        "description": "Build it.\nFly there.",
        "status": "active",
        "client_id": client,
        "budget_usd": 1234.56,
        "start_date": "2026-11-01",
        "end_date": "2026-12-31",
        "members": members,
    }
    answer = await shared.http.post(PROJECTS, json=body)
    project, path = answer.json(), answer.headers["location"]
    assert answer.status_code == 201
    assert (path, answer.headers["etag"]) == (f"{PROJECTS}/{project['id']}", '"1"')
    assert {name: project[name] for name in body} == body
    changed = await shared.http.put(path, json={"status": "on_hold", "budget_usd": None}, headers={"if-match": '"1"'})
    assert changed.status_code == 200
    own = {"status": "on_hold", "budget_usd": None, "version": 2, "updated_at": changed.json()["updated_at"]}
    assert changed.json() == {**project, **own}
    assert error(await shared.http.put(path, json={"name": "B"}, headers={"if-match": '"1"'}))[0] == 412
    assert (await shared.http.get(path)).json() == changed.json()
    assert (await shared.http.get(path, params={"as_of": project["created_at"]})).json() == project
    assert changed.json() in (await shared.http.get(PROJECTS)).json()["data"]
    assert (await shared.http.delete(path)).json() == {"id": project["id"], "status": "deleted"}
    assert (await shared.http.get(path)).status_code == 404
    assert (await shared.http.get(f"{path}/analytics")).status_code == 404
    entries = (await shared.http.get(f"{path}/history")).json()["data"]
    assert [entry["event"] for entry in entries] == ["created", "updated", "deleted"]
    assert entries[0]["changes"] == body
    assert entries[1]["changes"] == {"status": "on_hold", "budget_usd": None}


async def test_unknown_clients_and_members_are_refused(shared: System) -> None:
    client, member = await a_client(shared, OF_ZETA), (await people.made(shared, OF_ZETA))["id"]
    for body, field in (({"client_id": client + 10**9}, "client_id"), ({"members": [member, 10**9]}, "members")):
        answer = await shared.http.post(PROJECTS, json={"name": "A", **body}, headers=OF_ZETA)
        assert error(answer) == (422, "VALIDATION_ERROR", field)
    project = await made(shared, OF_ZETA, client_id=client, members=[member, member])
    assert project["members"] == [member]
    path = f"{PROJECTS}/{project['id']}"
    await shared.http.delete(f"{people.TALENTS}/{member}", headers=OF_ZETA)
    await shared.http.delete(f"/api/v1/clients/{client}", headers=OF_ZETA)
    assert error(await shared.http.post(PROJECTS, json={"name": "A", "members": [member]}, headers=OF_ZETA))[0] == 422
    kept = await shared.http.put(path, json={"members": [member], "client_id": client, "name": "B"}, headers=OF_ZETA)
    assert (kept.status_code, kept.json()["members"], kept.json()["client_id"]) == (200, [member], client)
    assert (await shared.http.put(path, json={"members": []}, headers=OF_ZETA)).json()["members"] == []
    again = await shared.http.put(path, json={"members": [member]}, headers=OF_ZETA)
    assert error(again) == (422, "VALIDATION_ERROR", "members")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "a\nb"),
        ("description", "d" * 10_001),
        ("status", "done"),
        ("client_id", 0),
        ("client_id", "1"),
        ("client_id", 2**53),
        ("budget_usd", -1),
        ("budget_usd", 1e30),
        ("budget_usd", 0.0000001),
        ("budget_usd", "NaN"),
        ("start_date", "yesterday"),
        ("start_date", 0),
        ("start_date", "0"),
        ("end_date", "2026-02-30"),
        ("members", [0]),
        ("members", [1.5]),
        ("members", list(range(1, 1002))),
        ("members", "1"),
        ("manager", "me"),
    ],
)
async def test_what_cannot_be_stored_is_refused_by_the_name_of_its_field(
    shared: System, field: str, value: Any
) -> None:
    answer = await shared.http.post(PROJECTS, json={"name": "A", field: value})
    status, code, named = error(answer)
    assert (status, code, str(named).partition(".")[0]) == (422, "VALIDATION_ERROR", field)


async def test_a_project_does_not_end_before_it_starts(shared: System) -> None:
    dates = {"start_date": "2026-12-01", "end_date": "2026-11-30"}
    assert error(await shared.http.post(PROJECTS, json={"name": "A", **dates})) == (422, "VALIDATION_ERROR", "end_date")
    project = await made(shared, start_date="2026-12-01")
    answer = await shared.http.put(f"{PROJECTS}/{project['id']}", json={"end_date": "2026-11-30"})
    assert error(answer) == (422, "VALIDATION_ERROR", "end_date")


async def test_projects_are_filtered_in_their_tenant_only(shared: System) -> None:
    mark = uuid4().hex
    client, member = await a_client(shared, OF_ACME), (await people.made(shared, OF_ACME))["id"]
    project = await made(shared, OF_ACME, name=f"Äpfel {mark}", client_id=client, members=[member], status="completed")
    for filters in ({"client_id": client}, {"member_id": member}, {"q": f"ÄPFEL {mark}"}, {"status": "completed"}):
        listed = (await shared.http.get(PROJECTS, params=filters, headers=OF_ACME)).json()
        assert (listed["data"], listed["total"]) == ([project], 1), filters
        assert project not in (await shared.http.get(PROJECTS, params=filters, headers=OF_ZETA)).json()["data"]
    filters = {"client_id": client, "status": "planning"}
    assert (await shared.http.get(PROJECTS, params=filters, headers=OF_ACME)).json()["data"] == []


async def test_a_repeated_creation_returns_the_same_project(shared: System) -> None:
    headers = {"idempotency-key": uuid4().hex}
    first, second = [await shared.http.post(PROJECTS, json={"name": "A"}, headers=headers) for _ in range(2)]
    assert (first.json(), first.status_code) == (second.json(), 201)


async def test_an_erased_project_leaves_no_text_but_its_plan(shared: System) -> None:
    mark = uuid4().hex
    project = await made(shared, name=mark, description=mark, budget_usd=5)
    commands, cause = make_project_commands(shared.parts), Cause("key_1", "req_1", now(), "default")
    for _ in range(2):
        await asyncio.to_thread(commands.erase, project["id"], cause, key="erasure_1")
    with shared.parts.database.connection() as connection:
        left = connection.execute("SELECT count(*) FROM content WHERE body LIKE %s", (f"%{mark}%",)).fetchone()
    assert left == (0,)
    [created, erased] = (await shared.http.get(f"{PROJECTS}/{project['id']}/history")).json()["data"]
    assert (created["changes"]["name"], created["changes"]["budget_usd"], erased["event"]) == (None, 5.0, "erased")


async def test_a_rebuild_gives_the_same_rows(shared: System) -> None:
    await made(shared, budget_usd=0.1, start_date="2026-01-01", members=[(await people.made(shared))["id"]])
    await shared.http.get(PROJECTS)
    rebuild = Rebuild(shared.settings.database_url or "", shared.parts.registry, ProjectsProjection())
    done = await asyncio.to_thread(rebuild.run)
    assert (all(comparison.equal for comparison in done.comparisons), done.set_aside) == (True, 0)
