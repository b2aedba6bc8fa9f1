"""Talents over the API, against the whole system."""

import asyncio
import unicodedata
from typing import Any
from uuid import uuid4

import pytest
from psycopg.sql import SQL, Identifier

from adapters.postgres.projections.rebuild import Rebuild
from domain.events import Cause
from domain.talents.commands import TalentDraft
from domain.talents.profile import TalentProfile
from domain.talents.projection import TalentsProjection
from runtime.wiring.parts import now
from runtime.wiring.routes.people import make_talent_commands
from tests.system import OF_ACME, OF_ZETA, System
from tests.talents.people import TALENTS, a_talent, an_email, error, made, post

pytestmark = pytest.mark.asyncio(loop_scope="module")

REFERENCE = {
    "name": "Jane Smith",
    "email": "jane@example.com",
    "department": "Engineering",
    "skills": ["JavaScript", "React", "Node.js"],
    "bio": "Full-stack developer with 5 years experience",
}
TRICKS = (
    "Zoë 🧑🏽‍🚀 \U0001d4b5 \u202eright to left",
    "'; DROP TABLE talents; --",
    '{"$ne": null}',
    "%s %(name)s {0} \\ \\\\ \\u0041",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "../../../etc/passwd",
    "e\u0301 and \u00e9",
)


async def test_the_talent_of_the_reference_is_created_and_found(shared: System) -> None:
    answer = await shared.http.post(TALENTS, json=REFERENCE)
    body = answer.json()
    assert answer.status_code == 201
    assert {name: body[name] for name in REFERENCE} == REFERENCE
    assert (body["status"], body["version"], answer.headers["etag"]) == ("active", 1, '"1"')
    assert answer.headers["location"] == f"{TALENTS}/{body['id']}"
    assert body["created_at"] == body["updated_at"]
    assert body["created_at"].endswith("Z")
    assert (await shared.http.get(answer.headers["location"])).json() == body
    listed = (await shared.http.get(TALENTS, params={"limit": 1000})).json()
    assert body in listed["talents"]
    assert (listed["skip"], listed["limit"], listed["total"]) == (0, 1000, len(listed["talents"]))
    assert listed["pagination"]["has_next"] is False


@pytest.mark.parametrize(
    "same",
    [
        lambda email: email,
        lambda email: email.upper(),
        lambda email: unicodedata.normalize("NFD", email),
        lambda email: email.replace("@", "\uff20").replace("x", "\uff58"),
    ],
    ids=["equal", "other case", "decomposed", "full width"],
)
async def test_of_two_concurrent_creations_with_one_email_one_is_refused(shared: System, same: Any) -> None:
    email = f"zo\u00eb-{uuid4().hex[:12]}@ex\u00e4mple.com"
    answers = await asyncio.gather(*(post(shared, email=each) for each in (email, same(email))))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    [created] = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    [refused] = [answer for answer in answers if answer.status_code == 409]
    assert error(refused) == (409, "CONFLICT", "email")
    assert refused.json()["error"]["details"]["talent_id"] == created


async def test_of_many_concurrent_creations_with_one_email_one_succeeds(shared: System) -> None:
    email = an_email()
    answers = await asyncio.gather(*(post(shared, email=email, name=f"Twin {n}") for n in range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11


async def test_the_email_of_a_deleted_talent_is_free_and_both_have_their_history(shared: System) -> None:
    email = an_email()
    first = await made(shared, email=email, name="First")
    gone = await shared.http.delete(f"{TALENTS}/{first['id']}")
    assert (gone.status_code, gone.json()) == (200, {"id": first["id"], "status": "deleted"})
    assert error(await shared.http.get(f"{TALENTS}/{first['id']}"))[0] == 404
    assert error(await shared.http.delete(f"{TALENTS}/{first['id']}"))[0] == 404
    assert error(await shared.http.put(f"{TALENTS}/{first['id']}", json={"name": "Ghost"}))[0] == 404
    second = await made(shared, email=email.upper(), name="Second")
    listed = (await shared.http.get(TALENTS, params={"limit": 1000})).json()["talents"]
    assert [each["name"] for each in listed if each["email"].lower() == email] == ["Second"]
    history = [(await shared.http.get(f"{TALENTS}/{each['id']}/history")).json()["data"] for each in (first, second)]
    assert [entry["event"] for entry in history[0]] == ["created", "deleted"]
    assert [entry["event"] for entry in history[1]] == ["created"]
    assert history[0][0]["changes"]["email"] == email


async def test_a_change_touches_the_given_fields_only(shared: System) -> None:
    talent = await made(shared, department="Sales", skills=["SQL"], bio="Sells.")
    answer = await shared.http.put(f"{TALENTS}/{talent['id']}", json={"department": None, "skills": ["SQL", "Go"]})
    body = answer.json()
    assert (answer.status_code, answer.headers["etag"], body["version"]) == (200, '"2"', 2)
    assert body["updated_at"] > talent["updated_at"]
    changed = {"department": None, "skills": ["SQL", "Go"], "version": 2, "updated_at": body["updated_at"]}
    assert body == {**talent, **changed}
    assert (await shared.http.get(f"{TALENTS}/{talent['id']}")).json() == body
    for same in ({}, {"department": None}, {"skills": ["SQL", "Go"], "status": "active"}):
        again = await shared.http.put(f"{TALENTS}/{talent['id']}", json=same)
        assert (again.status_code, again.json()) == (200, body), "nothing has changed"


async def test_a_change_of_an_unexpected_version_is_refused(shared: System) -> None:
    talent = await made(shared)
    path = f"{TALENTS}/{talent['id']}"
    assert (await shared.http.put(path, json={"name": "A"}, headers={"if-match": '"1"'})).status_code == 200
    late = await shared.http.put(path, json={"name": "B"}, headers={"if-match": '"1"'})
    assert error(late)[:2] == (412, "PRECONDITION_FAILED")
    assert error(await shared.http.delete(path, headers={"if-match": '"1"'}))[0] == 412
    assert (await shared.http.delete(path, headers={"if-match": '"2"'})).status_code == 200


async def test_an_email_moves_with_a_change(shared: System) -> None:
    old, new = an_email(), an_email()
    talent, other = await made(shared, email=old), await made(shared)
    path = f"{TALENTS}/{talent['id']}"
    assert error(await shared.http.put(path, json={"email": other["email"]})) == (409, "CONFLICT", "email")
    assert (await shared.http.put(path, json={"email": old.title()})).json()["email"] == old.title()
    assert (await shared.http.put(path, json={"email": new})).status_code == 200
    assert (await post(shared, email=new)).status_code == 409
    assert (await post(shared, email=old)).status_code == 201


async def test_a_repeated_creation_returns_the_same_talent(shared: System) -> None:
    body, headers = a_talent(), {"idempotency-key": uuid4().hex}
    first, second = [await shared.http.post(TALENTS, json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.json(), second.headers["idempotency-replayed"]) == (second.json(), "true")


async def test_a_creation_whose_answer_was_lost_is_found_by_its_key(shared: System) -> None:
    commands, key = make_talent_commands(shared.parts), uuid4().hex
    draft = TalentDraft(TalentProfile("Ada", an_email()))
    cause = Cause("key_1", "req_1", now(), "default")
    first, second = [commands.create(draft, cause, key=key) for _ in range(2)]
    assert first == second


async def test_a_creation_never_returns_a_talent_that_another_one_created(shared: System) -> None:
    """A counter that was lost, as with a table that was not restored, gives ids that are in use."""
    talent, key = await made(shared, headers=OF_ZETA), uuid4().hex
    lost = "UPDATE integer_ids SET last = %s WHERE tenant_id = 'zeta' AND kind = 'talent'"
    for headers in (OF_ZETA, {**OF_ZETA, "idempotency-key": key}):
        with shared.parts.database.connection() as connection:
            connection.execute(lost, (talent["id"] - 1,))
        assert (await post(shared, headers)).status_code == 409
    assert (await post(shared, OF_ZETA)).json()["id"] == talent["id"] + 1
    assert (await shared.http.get(f"{TALENTS}/{talent['id']}", headers=OF_ZETA)).json() == talent


async def test_talents_are_filtered_and_searched(shared: System) -> None:
    mark = uuid4().hex[:8]
    ada = await made(
        shared, headers=OF_ACME, name=f"Ada {mark}", department="Forschung & Ärzte", skills=["C++", "Résumé"]
    )
    bob = await made(
        shared, headers=OF_ACME, name="Bob", skills=[f"{mark}-sql"], bio="100 % Straße_", status="inactive"
    )

    async def found(**filters: str) -> list[int]:
        answer = await shared.http.get(TALENTS, params=filters, headers=OF_ACME)
        assert answer.status_code == 200, answer.text
        assert answer.json()["total"] == len(answer.json()["talents"])
        return [talent["id"] for talent in answer.json()["talents"]]

    assert await found(department="FORSCHUNG & ÄRZTE") == [ada["id"]]
    assert await found(department="Forschung") == []
    assert await found(skill="c++") == [ada["id"]]
    assert await found(skill=unicodedata.normalize("NFD", "RÉSUMÉ")) == [ada["id"]]
    assert await found(skill="C") == []
    assert await found(status="inactive") == [bob["id"]]
    assert await found(q=mark) == [ada["id"], bob["id"]]
    assert await found(q=f"{mark.upper()} strasse") == [bob["id"]]
    assert await found(q="100 %") == [bob["id"]]
    assert await found(q="%") == [bob["id"]]
    assert await found(q="_", status="active") == []
    assert error(await shared.http.get(TALENTS, params={"status": "gone"}, headers=OF_ACME))[0] == 422


async def test_the_past_is_shown(shared: System) -> None:
    talent = await made(shared, name="Old name", skills=["SQL"])
    path = f"{TALENTS}/{talent['id']}"
    changed = (await shared.http.put(path, json={"name": "New name", "status": "inactive"})).json()
    await shared.http.delete(path)
    entries = (await shared.http.get(f"{path}/history")).json()
    assert entries["total"] == 3
    assert [(e["version"], e["event"], e["fields"]) for e in entries["data"]] == [
        (1, "created", ["name", "email", "department", "skills", "bio", "status"]),
        (2, "updated", ["name", "status"]),
        (3, "deleted", []),
    ]
    assert entries["data"][1]["changes"] == {"name": "New name", "status": "inactive"}
    assert {e["by"] for e in entries["data"]} == {"anonymous"}
    assert all(e["because"].startswith("req_") for e in entries["data"])

    async def at(moment: str) -> Any:
        answer = await shared.http.get(path, params={"as_of": moment})
        return answer.json() if answer.status_code == 200 else answer.status_code

    assert await at(talent["created_at"]) == talent
    assert await at(changed["updated_at"]) == changed
    assert await at(entries["data"][2]["at"]) == 404
    assert await at("2020-01-01T00:00:00Z") == 404
    assert await at("nonsense") == 422
    page = (await shared.http.get(f"{path}/history", params={"skip": 1, "limit": 1})).json()
    assert [entry["version"] for entry in page["data"]] == [2]
    assert page["pagination"] == {"total": 3, "skip": 1, "limit": 1, "has_next": True, "has_prev": True}


@pytest.mark.parametrize("text", TRICKS)
async def test_whatever_text_is_stored_exactly(shared: System, text: str) -> None:
    body = a_talent(name=text, department=text, skills=[text], bio=f" {text}\n{text}".strip())
    created = await shared.http.post(TALENTS, json=body)
    assert created.status_code == 201, created.text
    shown = (await shared.http.get(created.headers["location"])).json()
    assert {name: shown[name] for name in body} == body
    for name in ("q", "skill", "department"):
        answer = await shared.http.get(TALENTS, params={name: text, "limit": 1000})
        assert shown["id"] in [talent["id"] for talent in answer.json()["talents"]], name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "  "),
        ("name", "two\nlines"),
        ("name", "n" * 201),
        ("name", None),
        ("name", 5),
        ("name", "a\x00b"),
        ("email", "nobody"),
        ("email", "a@b@c"),
        ("email", "a b@example.com"),
        ("email", "a\u200bb@example.com"),
        ("email", f"{'a' * 65}@example.com"),
        ("email", f"a@{'b' * 260}.com"),
        ("email", "a@.com"),
        ("email", ["a@example.com"]),
        ("department", "d" * 121),
        ("skills", ["SQL", "sql"]),
        ("skills", ["s" * 81]),
        ("skills", [""]),
        ("skills", [f"s{n}" for n in range(101)]),
        ("skills", "SQL"),
        ("skills", [{"name": "SQL"}]),
        ("bio", "b" * 10_001),
        ("bio", "a" + "\u0301" * 31),
        ("bio", "a" + "\u0301\u0323" * 4_000),
        ("bio", "\ufdfa" * 10_000),
        ("name", "\u0301" * 31),
        ("status", "retired"),
        ("id", 7),
        ("salt", "x"),
    ],
)
async def test_what_cannot_be_stored_is_refused_by_the_name_of_its_field(
    shared: System, field: str, value: Any
) -> None:
    answer = await shared.http.post(TALENTS, json=a_talent(**{field: value}))
    status, code, named = error(answer)
    assert (status, code, str(named).partition(".")[0]) == (422, "VALIDATION_ERROR", field)


async def test_bodies_that_are_too_large_or_broken_are_refused(shared: System) -> None:
    large = b'{"name": "' + b"n" * 10_000_000 + b'", "email": "a@example.com"}'
    json_type = {"content-type": "application/json"}
    assert error(await shared.http.post(TALENTS, content=large, headers=json_type))[:2] == (413, "PAYLOAD_TOO_LARGE")
    half = b'{"name": "\\ud800", "email": "a@example.com"}'
    assert error(await shared.http.post(TALENTS, content=half, headers=json_type))[0] == 400
    for number in ("0", "-1", "9223372036854775808", "1e3", "1.5", "'1'", "1;2"):
        assert error(await shared.http.get(f"{TALENTS}/{number}"))[0] == 422, number
    assert error(await shared.http.get(f"{TALENTS}/9223372036854775807"))[0] == 404


async def test_tenants_see_nothing_of_each_other(shared: System) -> None:
    mark, email = uuid4().hex, an_email()
    own = [await made(shared, headers=of, name=mark, email=email, skills=[mark]) for of in (OF_ACME, OF_ZETA)]
    for talent, of in zip(own, (OF_ACME, OF_ZETA), strict=True):
        listed = (await shared.http.get(TALENTS, params={"q": mark}, headers=of)).json()
        assert listed["talents"] == [talent]
        matched = (await shared.http.post(f"{TALENTS}/match", json={"skills": [mark]}, headers=of)).json()
        assert [match["talent"] for match in matched["data"]] == [talent]
    assert (await shared.http.get(TALENTS, params={"q": mark})).json()["total"] == 0


async def test_an_erased_talent_leaves_no_text_anywhere(shared: System) -> None:
    mark, email = f"mark{uuid4().hex}", an_email()
    talent = await made(shared, name=f"{mark} a", email=email, bio=mark, department=mark, skills=[mark])
    await shared.http.put(f"{TALENTS}/{talent['id']}", json={"name": f"{mark} b", "email": f"{mark}@example.com"})
    commands, cause = make_talent_commands(shared.parts), Cause("key_1", "req_1", now(), "default")
    for _ in range(2):
        await asyncio.to_thread(commands.erase, talent["id"], cause, key="erasure_1")
    with shared.parts.database.connection() as connection:
        tables = connection.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in tables.fetchall():
            for word in (mark, email, mark.encode().hex(), email.encode().hex()):
                count = SQL("SELECT count(*) FROM {} AS t WHERE t::text LIKE %s").format(Identifier(table))
                left = connection.execute(count, (f"%{word}%",))
                assert left.fetchone() == (0,), (table, word)
    assert (await shared.http.get(f"{TALENTS}/{talent['id']}")).status_code == 404
    entries = (await shared.http.get(f"{TALENTS}/{talent['id']}/history")).json()["data"]
    assert [(entry["event"], entry["changes"]) for entry in entries] == [
        ("created", {**dict.fromkeys(("name", "email", "department", "skills", "bio")), "status": "active"}),
        ("updated", {"name": None, "email": None}),
        ("erased", {}),
    ]
    before = (await shared.http.get(f"{TALENTS}/{talent['id']}", params={"as_of": entries[1]["at"]})).json()
    assert (before["name"], before["email"], before["bio"], before["skills"]) == (None, None, None, [])
    assert (await post(shared, email=email)).status_code == 201
    assert (await post(shared, email=f"{mark}@example.com")).status_code == 201


async def test_a_rebuild_gives_the_same_rows(shared: System) -> None:
    talent = await made(shared)
    await shared.http.put(f"{TALENTS}/{talent['id']}", json={"name": "Renamed"})
    await shared.http.get(TALENTS)
    rebuild = Rebuild(shared.settings.database_url or "", shared.parts.registry, TalentsProjection())
    done = await asyncio.to_thread(rebuild.run)
    assert done.comparisons
    assert all(comparison.equal for comparison in done.comparisons)
    assert done.set_aside == 0
