"""Talents as tables: exported and imported, all or none."""

import asyncio
import csv
import io
import time
from uuid import uuid4

import pytest

from adapters.postgres.projections.rebuild import Rebuild
from domain.talents.projection import TalentsProjection
from tests.system import OF_ACME, OF_ZETA, System
from tests.talents.people import TALENTS, an_email, error, imported, made

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 10_000


def table(count: int, mark: str) -> list[str]:
    rows = [f'Person {n},p{n}-{mark}@example.com,Dept {n % 9},SQL;Skill {n % 50},"Bio, {mark}",' for n in range(count)]
    return ["name,email,department,skills,bio,status", *rows]


async def total(system: System, **filters: str) -> int:
    answer = await system.http.get(TALENTS, params={"limit": "1", **filters}, headers=OF_ACME)
    assert "x-convergio-stale" not in answer.headers
    return int(answer.json()["total"])


async def test_ten_thousand_talents_with_three_bad_rows_are_named_and_none_is_written(shared: System) -> None:
    mark = uuid4().hex[:8]
    rows = table(MANY, mark)
    rows[4] = f",p3-{mark}@example.com,,,,"
    rows[5000] = "Nobody,no address,,,,"
    rows[10_000] = f"Twin,P0-{mark.upper()}@EXAMPLE.com,,,,"
    before = await total(shared)
    answer = await imported(shared, "\n".join(rows), OF_ACME)
    assert error(answer) == (422, "VALIDATION_ERROR", "name")
    details = answer.json()["error"]["details"]
    assert [(fault["row"], fault["field"]) for fault in details["errors"]] == [
        (5, "name"),
        (5001, "email"),
        (10_001, "email"),
    ]
    assert details["faults"] == 3
    assert details["errors"][2]["reason"] == "row 2 has this e-mail address"
    assert await total(shared) == before
    assert await total(shared, q=mark) == 0


async def test_ten_thousand_talents_are_imported_at_once(shared: System) -> None:
    mark, started = uuid4().hex[:8], time.monotonic()
    answer = await imported(shared, "\n".join(table(MANY, mark)), OF_ACME)
    took = time.monotonic() - started
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["imported"], body["last_id"] - body["first_id"]) == (MANY, MANY - 1)
    assert took < 60
    assert await total(shared, q=mark) == MANY
    assert await total(shared, skill="skill 7", q=mark) == MANY // 50
    last = (await shared.http.get(f"{TALENTS}/{body['last_id']}", headers=OF_ACME)).json()
    assert (last["name"], last["skills"], last["bio"]) == (f"Person {MANY - 1}", ["SQL", "Skill 49"], f"Bio, {mark}")
    again = await imported(shared, "\n".join(table(3, mark)), OF_ACME)
    assert [fault["reason"] for fault in again.json()["error"]["details"]["errors"]] == [
        f"talent {body['first_id'] + n} has this e-mail address" for n in range(3)
    ]
    rebuild = Rebuild(shared.settings.database_url or "", shared.parts.registry, TalentsProjection())
    done = await asyncio.to_thread(rebuild.run)
    assert [(comparison.equal, comparison.rebuilt[0] >= MANY) for comparison in done.comparisons] == [(True, True)]
    started = time.monotonic()
    exported = await shared.http.get(f"{TALENTS}/export", params={"q": mark}, headers=OF_ACME)
    assert exported.headers["content-type"].startswith("text/csv")
    assert len(list(csv.reader(io.StringIO(exported.text)))) == MANY + 1
    assert time.monotonic() - started < 30


async def test_an_export_can_be_imported_by_another_tenant_and_is_the_same(shared: System) -> None:
    mark = uuid4().hex[:8]
    skills = ["a;b", "c\\", "=1"]
    await made(shared, OF_ACME, name=f"=cmd|' /C calc'!A0 {mark}", skills=skills, bio='-1\n"x", ü')
    await made(shared, OF_ACME, name=f"'=1 {mark}", department="@d", status="inactive", email=f"+{an_email()}")
    exported = (await shared.http.get(f"{TALENTS}/export", params={"q": mark}, headers=OF_ACME)).text
    for row in list(csv.reader(io.StringIO(exported)))[1:]:
        assert not [cell for cell in row if cell[:1] in {"=", "+", "-", "@", "\t", "\r"}]
    answer = await imported(shared, exported, OF_ZETA)
    assert (answer.status_code, answer.json()["imported"]) == (201, 2), answer.text
    both = []
    for of in (OF_ACME, OF_ZETA):
        listed = (await shared.http.get(TALENTS, params={"q": mark}, headers=of)).json()["talents"]
        own = ("name", "email", "department", "skills", "bio", "status")
        both.append([{name: talent[name] for name in own} for talent in listed])
    assert both[0] == both[1]


async def test_a_repeated_import_changes_nothing(shared: System) -> None:
    rows, headers = "\n".join(table(3, uuid4().hex)), {**OF_ACME, "idempotency-key": uuid4().hex}
    first, second = [await imported(shared, rows, headers) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert (second.json(), second.headers["idempotency-replayed"]) == (first.json(), "true")
    other = await imported(shared, "\n".join(table(4, uuid4().hex)), headers)
    assert error(other)[:2] == (409, "CONFLICT")


async def test_a_corrected_table_is_imported_under_the_same_key(shared: System) -> None:
    mark, headers = uuid4().hex, {**OF_ACME, "idempotency-key": uuid4().hex}
    rows = table(3, mark)
    assert (await imported(shared, "\n".join([*rows, "x,y,,,,"]), headers)).status_code == 422
    assert (await imported(shared, "\n".join(rows), headers)).status_code == 201


async def test_of_two_concurrent_imports_of_one_address_one_is_refused(shared: System) -> None:
    mark = uuid4().hex
    tables = ["\n".join([*table(20, uuid4().hex), f"Twin,{mark}@example.com,,,,"]) for _ in range(2)]
    answers = await asyncio.gather(*(imported(shared, rows, OF_ACME) for rows in tables))
    assert sorted(answer.status_code for answer in answers) == [201, 422]


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"", "text/csv", 422),
        (b"name,email", "text/csv", 422),
        (b"name,salary\nA,1", "text/csv", 422),
        (b"name,email\nA,a@example.com,x", "text/csv", 422),
        (b'name,email\n"A,a@example.com', "text/csv", 422),
        (b"name,email\nA\0,a@example.com", "text/csv", 422),
        (b"name,email\nA\xff,a@example.com", "text/csv", 400),
        (b"name,email\nA,a@example.com", "application/json", 415),
        (b"{}", "application/json", 415),
        (b"name,email\n" + b"A,a@example.com\n" * 10_001, "text/csv", 422),
        (b"n" * (10 * 1024 * 1024 + 1), "text/csv", 413),
        (b"name,email\n" + b"n" * 9_000_000 + b",a@example.com", "text/csv", 422),
    ],
    ids=[
        "empty",
        "header only",
        "unknown column",
        "long row",
        "open quote",
        "nul",
        "not utf-8",
        "json type",
        "json",
        "rows",
        "bytes",
        "cell",
    ],
)
async def test_what_is_no_table_of_talents_is_refused(shared: System, body: bytes, media: str, status: int) -> None:
    answer = await shared.http.post(f"{TALENTS}/import", content=body, headers={"content-type": media, **OF_ACME})
    assert error(answer)[0] == status, answer.text
