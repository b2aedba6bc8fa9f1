"""Clients and projects as tables: exported and imported, all or none."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.system import OF_ACME, OF_ZETA, System
from tests.talents import people
from tests.talents.people import error

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS, PROJECTS = "/api/v1/clients", "/api/v1/projects"


async def imported(system: System, path: str, table: str, headers: dict[str, str], **more: str) -> httpx.Response:
    headers = {"content-type": "text/csv", **headers, **more}
    return await system.http.post(f"{path}/import", content=table.encode(), headers=headers)


async def listed(system: System, path: str, mark: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await system.http.get(path, params={"q": mark}, headers=headers)
    own = ("id", "created_at", "updated_at", "version", "client_id", "members")
    return [{name: value for name, value in each.items() if name not in own} for each in answer.json()["data"]]


def faults(answer: httpx.Response) -> list[tuple[int, str]]:
    assert error(answer)[:2] == (422, "VALIDATION_ERROR")
    return [(fault["row"], fault["field"]) for fault in answer.json()["error"]["details"]["errors"]]


async def test_clients_are_exported_and_imported_as_they_are(shared: System) -> None:
    mark = uuid4().hex
    for body in (
        {"description": "=1+1\nü;", "contact_name": "'=x"},
        {"contact_email": "+a@example.com", "status": "inactive"},
    ):
        created = await shared.http.post(CLIENTS, json={"name": f"@{mark}", **body}, headers=OF_ACME)
        assert created.status_code == 201
    table = (await shared.http.get(f"{CLIENTS}/export", params={"q": mark}, headers=OF_ACME)).text
    answer = await imported(shared, CLIENTS, table, OF_ZETA)
    assert (answer.status_code, answer.json()["imported"]) == (201, 2), answer.text
    assert await listed(shared, CLIENTS, mark, OF_ACME) == await listed(shared, CLIENTS, mark, OF_ZETA)
    bad = await imported(shared, CLIENTS, f"name,status\n{mark},gone\n,active\n{mark},active", OF_ZETA)
    assert faults(bad) == [(2, "status"), (3, "name")]
    assert len(await listed(shared, CLIENTS, mark, OF_ZETA)) == 2


async def test_projects_are_exported_and_imported_as_they_are(shared: System) -> None:
    mark, of = uuid4().hex, OF_ACME
    client = (await shared.http.post(CLIENTS, json={"name": mark}, headers=of)).json()["id"]
    members = [(await people.made(shared, of))["id"] for _ in range(2)]
    plan = {"status": "active", "budget_usd": 0.000001, "start_date": "2026-01-01", "end_date": "2026-12-31"}
    body = {"name": f"-{mark}", "description": "a\n=b", **plan, "client_id": client, "members": members}
    assert (await shared.http.post(PROJECTS, json=body, headers=of)).status_code == 201
    assert (await shared.http.post(PROJECTS, json={"name": mark}, headers=of)).status_code == 201
    table = (await shared.http.get(f"{PROJECTS}/export", params={"q": mark}, headers=of)).text
    answer = await imported(shared, PROJECTS, table, of)
    assert (answer.status_code, answer.json()["imported"]) == (201, 2), answer.text
    all_of_them = await listed(shared, PROJECTS, mark, of)
    assert all_of_them[:2] == all_of_them[2:]
    copy = (await shared.http.get(f"{PROJECTS}/{answer.json()['first_id']}", headers=of)).json()
    assert (copy["client_id"], copy["members"], copy["budget_usd"]) == (client, members, 0.000001)


async def test_a_table_of_projects_with_bad_rows_names_them_and_writes_none(shared: System) -> None:
    mark = uuid4().hex
    member = (await people.made(shared, OF_ZETA))["id"]
    rows = [
        "name,client_id,members,start_date,end_date,budget_usd",
        f"{mark},,{member},2026-01-03,2026-01-02,1.5",
        f"{mark},999999,,,,",
        f"{mark},,{member};888888,,,",
        f"{mark},x,,,,",
        f"{mark},,,2026-01-02,2026-01-01,",
        f"{mark},,,,,-1",
        f"{mark},,{'9' * 30},,,",
    ]
    answer = await imported(shared, PROJECTS, "\n".join(rows), OF_ZETA)
    assert faults(answer) == [
        (2, "end_date"),
        (3, "client_id"),
        (4, "members"),
        (5, "client_id"),
        (6, "end_date"),
        (7, "budget_usd"),
        (8, "members"),
    ]
    assert await listed(shared, PROJECTS, mark, OF_ZETA) == []


@pytest.mark.parametrize("path", [CLIENTS, PROJECTS])
async def test_a_repeated_import_changes_nothing(shared: System, path: str) -> None:
    mark, key = uuid4().hex, {"idempotency-key": uuid4().hex}
    table = f"name\n{mark} a\n{mark} b"
    answers = await asyncio.gather(*(imported(shared, path, table, OF_ACME, **key) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len(await listed(shared, path, mark, OF_ACME)) == 2


@pytest.mark.parametrize("path", [CLIENTS, PROJECTS])
@pytest.mark.parametrize("table", ["", "name", "name,salt\na,b", 'name\n"a'])
async def test_what_is_no_table_is_refused(shared: System, path: str, table: str) -> None:
    assert error(await imported(shared, path, table, OF_ACME))[:2] == (422, "VALIDATION_ERROR")
