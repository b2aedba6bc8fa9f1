"""Components over HTTP: what was saved comes back equal, and versions are not lost in a race."""

import asyncio
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import orjson
import psycopg
import pytest

from domain.components.aggregate import owner
from domain.components.canonical_json import canonical_json
from domain.components.policy import MAX_METADATA, MAX_STATE
from tests.system import OF_ACME, OF_ZETA, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/serialization"


def new_id() -> str:
    return f"component-{uuid4().hex[:12]}"


async def save(system: System, component_id: str, state: Any, headers: Any = None, **more: Any) -> httpx.Response:
    body = {"component_id": component_id, "component_type": "memory", "state": state, **more}
    return await system.http.post(f"{PATH}/save", json=body, headers=headers)


async def load(system: System, component_id: str, **query: Any) -> httpx.Response:
    return await system.http.get(f"{PATH}/{component_id}", params=query)


STATES = [
    {"b": 1, "a": [1.0, -0.0, 1e16, 0.1, 2**63 - 1, -(2**63)], "Schlüssel": "ß \U0001f9d1‍\U0001f680 \u2028"},
    {"__proto__": {"$type": "x"}, "": "", "'; DROP TABLE content; --": '\\u0000 " \\ \t \x7f'},
    {"py/object": "os.system", "_type_": "uuid_hex", "_data_": "1"},
    None,
    [],
    "text",
    False,
    1.5,
]


@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
async def test_a_state_comes_back_equal_with_its_keys_in_order(shared: System, state: Any) -> None:
    component_id = new_id()
    saved = await save(shared, component_id, state, metadata={"z": 1, "a": None})
    assert saved.status_code == 201, saved.text
    checksum = sha256(canonical_json(state).encode()).hexdigest()
    assert (saved.json()["version"], saved.json()["checksum"], saved.headers["etag"]) == (1, checksum, '"1"')
    assert saved.headers["location"] == f"{PATH}/{component_id}"
    loaded = (await load(shared, component_id)).json()
    assert orjson.dumps(loaded["state"]) == orjson.dumps(state)
    assert list(loaded["metadata"]) == ["z", "a"]
    assert loaded["size"] == len(orjson.dumps(state))
    assert loaded["erased"] is False


async def test_a_deep_state_is_kept_and_a_deeper_one_is_refused(shared: System) -> None:
    def nested(levels: int) -> Any:
        inner: Any = "inside"
        for _ in range(levels):
            inner = [inner]
        return inner

    component_id = new_id()
    assert (await save(shared, component_id, nested(60))).status_code == 201
    assert (await load(shared, component_id)).json()["state"] == nested(60)
    assert (await save(shared, component_id, nested(70))).status_code == 422


@pytest.mark.parametrize(
    "state", ["9223372036854775808", '{"a":[123456789012345678901234567890]}', "-9223372036854775809"]
)
async def test_an_integer_that_would_lose_digits_is_refused(shared: System, state: str) -> None:
    body = f'{{"component_id":"{new_id()}","component_type":"memory","state":{state}}}'
    refused = await shared.http.post(f"{PATH}/save", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422
    assert refused.json()["error"]["details"]["field"] == "body"


@pytest.mark.parametrize("state", ["NaN", "Infinity", "-Infinity", "1e400", '"\\ud800"', "{'a': 1}", ""])
async def test_what_is_no_json_is_refused(shared: System, state: str) -> None:
    body = f'{{"component_id":"{new_id()}","component_type":"memory","state":{state}}}'
    refused = await shared.http.post(f"{PATH}/save", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 400, refused.text


async def test_a_nul_is_refused_where_it_stands(shared: System) -> None:
    refused = await save(shared, new_id(), {"a": ["b\0"]})
    assert refused.status_code == 422
    assert refused.json()["error"]["details"]["field"] == "state.a.0"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("component_id", ""),
        ("component_id", "a/b"),
        ("component_id", "a~b"),
        ("component_id", "a\n"),
        ("component_id", "x" * 129),
        ("component_id", "é"),
        ("component_type", "0"),
        ("component_type", None),
        ("metadata", []),
        ("metadata", "text"),
        ("expected_version", -1),
        ("expected_version", 2**63),
        ("expected_version", "one"),
        ("expected_version", 1.5),
        ("surprise", 1),
    ],
)
async def test_a_bad_field_is_named(shared: System, field: str, value: Any) -> None:
    body = {"component_id": new_id(), "component_type": "memory", "state": 1, field: value}
    refused = await shared.http.post(f"{PATH}/save", json=body)
    assert refused.status_code == 422
    assert refused.json()["error"]["details"]["field"] == field


async def test_a_state_of_the_largest_size_is_kept_and_a_larger_one_refused(shared: System) -> None:
    component_id, text = new_id(), "x" * (MAX_STATE - 2)
    assert (await save(shared, component_id, text)).status_code == 201
    assert (await load(shared, component_id)).json()["state"] == text
    assert (await save(shared, component_id, [text])).status_code == 413
    assert (await save(shared, component_id, 1, metadata={"a": "x" * MAX_METADATA})).status_code == 413


async def test_each_save_is_a_version_that_can_be_read(shared: System) -> None:
    component_id = new_id()
    for number in range(3):
        assert (await save(shared, component_id, {"n": number})).json()["version"] == number + 1
    assert (await load(shared, component_id)).json()["state"] == {"n": 2}
    assert (await load(shared, component_id, version=1)).json()["state"] == {"n": 0}
    assert (await load(shared, component_id, version=4)).status_code == 404
    listed = (await shared.http.get(f"{PATH}/{component_id}/versions", params={"limit": 2})).json()
    assert [each["version"] for each in listed["data"]] == [3, 2]
    assert listed["pagination"] == {"total": 3, "skip": 0, "limit": 2, "has_next": True, "has_prev": False}


async def test_a_wrong_expected_version_is_a_conflict_that_names_the_current_one(shared: System) -> None:
    component_id = new_id()
    assert (await save(shared, component_id, 1, expected_version=1)).status_code == 409
    assert (await save(shared, component_id, 1, expected_version=0)).status_code == 201
    refused = await save(shared, component_id, 2, expected_version=0)
    assert (refused.status_code, refused.json()["error"]["details"]["version"]) == (409, 1)
    assert (await save(shared, component_id, 2, expected_version=1)).json()["version"] == 2


async def test_of_racing_saves_with_one_expectation_one_counts(shared: System) -> None:
    component_id = new_id()
    raced = await asyncio.gather(*(save(shared, component_id, n, expected_version=0) for n in range(8)))
    assert sorted(answer.status_code for answer in raced) == [201, *[409] * 7]
    won = next(n for n, answer in enumerate(raced) if answer.status_code == 201)
    assert (await load(shared, component_id)).json()["state"] == won


async def test_racing_saves_without_an_expectation_all_count(shared: System) -> None:
    component_id = new_id()
    raced = await asyncio.gather(*(save(shared, component_id, n) for n in range(8)))
    assert sorted(answer.json()["version"] for answer in raced) == list(range(1, 9))


async def test_a_repeat_of_a_save_is_the_same_save_even_when_no_answer_was_kept(shared: System) -> None:
    component_id, headers = new_id(), {"Idempotency-Key": uuid4().hex}
    first = await save(shared, component_id, "a", headers, expected_version=0)
    await save(shared, component_id, "b")
    async with await psycopg.AsyncConnection.connect(str(shared.settings.database_url), autocommit=True) as connection:
        await connection.execute("TRUNCATE http_idempotency")
    again = await save(shared, component_id, "a", headers, expected_version=0)
    assert (again.status_code, again.json()) == (201, first.json())
    assert (await load(shared, component_id)).json()["version"] == 2


async def test_a_deleted_component_is_gone_and_its_versions_count_on(shared: System) -> None:
    component_id = new_id()
    await save(shared, component_id, 1)
    await save(shared, component_id, 2)
    stale = await shared.http.delete(f"{PATH}/{component_id}", headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    gone = await shared.http.delete(f"{PATH}/{component_id}", headers={"If-Match": '"2"'})
    assert (gone.status_code, gone.json()) == (200, {"id": component_id, "status": "deleted"})
    assert (await shared.http.delete(f"{PATH}/{component_id}")).status_code == 404
    for path in ("", "?version=1", "/versions"):
        assert (await shared.http.get(f"{PATH}/{component_id}{path}")).status_code == 404
    assert (await save(shared, component_id, 3, expected_version=2)).status_code == 409
    assert (await save(shared, component_id, 3, expected_version=0)).json()["version"] == 3
    assert (await load(shared, component_id, version=2)).status_code == 404
    listed = (await shared.http.get(f"{PATH}/{component_id}/versions")).json()
    assert [each["version"] for each in listed["data"]] == [3]


async def test_components_are_listed_by_type(shared: System) -> None:
    kind, names = f"kind{uuid4().hex[:8]}", sorted(new_id() for _ in range(3))
    for name in names:
        await save(shared, name, 1, component_type=kind)
    await shared.http.delete(f"{PATH}/{names[1]}")
    listed = (await shared.http.get(PATH, params={"component_type": kind})).json()
    assert [each["component_id"] for each in listed["data"]] == [names[0], names[2]]


async def test_an_erased_state_is_said_to_be_erased(shared: System) -> None:
    component_id = new_id()
    await save(shared, component_id, {"secret": 1})
    async with await psycopg.AsyncConnection.connect(str(shared.settings.database_url), autocommit=True) as connection:
        await connection.execute("DELETE FROM content WHERE owner = %s", (owner("default", component_id),))
    loaded = (await load(shared, component_id)).json()
    assert (loaded["state"], loaded["metadata"], loaded["erased"], loaded["version"]) == (None, None, True, 1)


async def test_two_tenants_have_components_of_one_name_each(shared: System) -> None:
    component_id = new_id()
    assert (await save(shared, component_id, "acme", OF_ACME)).json()["version"] == 1
    assert (await shared.http.get(f"{PATH}/{component_id}", headers=OF_ZETA)).status_code == 404
    assert (await save(shared, component_id, "zeta", OF_ZETA)).json()["version"] == 1
    assert (await shared.http.delete(f"{PATH}/{component_id}", headers=OF_ZETA)).status_code == 200
    assert (await shared.http.get(f"{PATH}/{component_id}", headers=OF_ACME)).json()["state"] == "acme"


async def test_no_event_holds_a_state(shared: System) -> None:
    mark = uuid4().hex
    await save(shared, new_id(), {"a": mark}, metadata={"b": mark})
    async with await psycopg.AsyncConnection.connect(str(shared.settings.database_url)) as connection:
        found = await connection.execute(
            "SELECT count(*) FROM ledger_events WHERE position(%s::bytea IN state) > 0", (mark.encode(),)
        )
        assert await found.fetchone() == (0,)
