"""Clients over the API, against the whole system."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from adapters.postgres.projections.rebuild import Rebuild
from domain.clients.projection import ClientsProjection
from domain.events import Cause
from runtime.wiring.parts import now
from runtime.wiring.routes.people import make_client_commands
from tests.system import OF_ACME, OF_ZETA, System
from tests.talents.people import error

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = "/api/v1/clients"


async def made(system: System, headers: dict[str, str] | None = None, **changed: Any) -> dict[str, Any]:
    """A client that was created."""
    answer = await system.http.post(CLIENTS, json={"name": "Acme Corp", **changed}, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_client_is_created_changed_and_deleted(shared: System) -> None:
    answer = await shared.http.post(
        CLIENTS, json={"name": "Acme 🏗", "contact_name": "Zoë", "contact_email": "z@example.com"}
    )
    client, path = answer.json(), answer.headers["location"]
    assert (path, answer.headers["etag"]) == (f"{CLIENTS}/{client['id']}", '"1"')
    assert (client["name"], client["description"], client["status"]) == ("Acme 🏗", None, "active")
    changed = await shared.http.put(path, json={"contact_name": None}, headers={"if-match": '"1"'})
    assert (changed.json()["contact_name"], changed.json()["version"]) == (None, 2)
    assert error(await shared.http.put(path, json={"name": "B"}, headers={"if-match": '"1"'}))[0] == 412
    assert (await shared.http.get(path)).json() == changed.json()
    assert (await shared.http.get(path, params={"as_of": client["created_at"]})).json() == client
    assert changed.json() in (await shared.http.get(CLIENTS)).json()["data"]
    assert (await shared.http.delete(path)).json() == {"id": client["id"], "status": "deleted"}
    assert (await shared.http.get(path)).status_code == 404
    assert (await shared.http.delete(path)).status_code == 404
    entries = (await shared.http.get(f"{path}/history")).json()["data"]
    assert [(entry["event"], entry["fields"]) for entry in entries[1:]] == [
        ("updated", ["contact_name"]),
        ("deleted", []),
    ]


async def test_clients_are_found_by_status_and_words_in_their_tenant_only(shared: System) -> None:
    mark = uuid4().hex
    own = [await made(shared, of, name=f"ÄRA {mark}", status="inactive") for of in (OF_ACME, OF_ZETA)]
    for client, of in zip(own, (OF_ACME, OF_ZETA), strict=True):
        for filters in ({"q": f"ära {mark}"}, {"q": mark, "status": "inactive"}):
            listed = (await shared.http.get(CLIENTS, params=filters, headers=of)).json()
            assert (listed["data"], listed["total"]) == ([client], 1)
        assert (await shared.http.get(CLIENTS, params={"q": mark, "status": "active"}, headers=of)).json()["data"] == []
    assert (await shared.http.get(CLIENTS, params={"q": mark})).json()["data"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", " "), ("name", "a\nb"), ("name", "n" * 201), ("contact_email", "nobody"), ("status", "x"), ("id", 1)],
)
async def test_what_cannot_be_stored_is_refused_by_the_name_of_its_field(
    shared: System, field: str, value: Any
) -> None:
    answer = await shared.http.post(CLIENTS, json={"name": "A", field: value})
    assert error(answer) == (422, "VALIDATION_ERROR", field)


async def test_an_erased_client_leaves_no_text(shared: System) -> None:
    mark = uuid4().hex
    client = await made(shared, name=mark, contact_name=mark)
    await shared.http.put(f"{CLIENTS}/{client['id']}", json={"name": f"{mark}-2"})
    commands, cause = make_client_commands(shared.parts), Cause("key_1", "req_1", now(), "default")
    for _ in range(2):
        await asyncio.to_thread(commands.erase, client["id"], cause, key="erasure_1")
    with shared.parts.database.connection() as connection:
        left = connection.execute("SELECT count(*) FROM content WHERE body LIKE %s", (f"%{mark}%",)).fetchone()
    assert left == (0,)
    entries = (await shared.http.get(f"{CLIENTS}/{client['id']}/history")).json()["data"]
    assert [(entry["event"], entry["changes"].get("name")) for entry in entries] == [
        ("created", None),
        ("updated", None),
        ("erased", None),
    ]


async def test_a_rebuild_gives_the_same_rows(shared: System) -> None:
    await made(shared)
    await shared.http.get(CLIENTS)
    rebuild = Rebuild(shared.settings.database_url or "", shared.parts.registry, ClientsProjection())
    done = await asyncio.to_thread(rebuild.run)
    assert (all(comparison.equal for comparison in done.comparisons), done.set_aside) == (True, 0)
