"""Definitions may be sent as YAML: the same words, the same checks, the same answers."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKFLOWS = "/api/v1/workflows"
TEXT = """
name: {name}
input:
  type: object
  properties: {{request: {{type: string}}}}
nodes:
  - {{id: count, type: transform, set: {{n: "size(input.request)"}}}}
  - {{id: long, type: transform, set: {{is: "true"}}}}
  - {{id: short, type: transform, set: {{is: "false"}}}}
edges:
  - {{from: count, to: long, when: nodes.count.output.n > 9}}
  - {{from: count, to: short, otherwise: true}}
"""


async def send(system: System, method: str, path: str, text: str, **headers: str) -> httpx.Response:
    given = {"content-type": "application/yaml", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await system.http.request(method, f"{WORKFLOWS}{path}", content=text.encode(), headers=given)


def unlike(text: str) -> str:
    return text.format(name=f"In YAML {uuid4().hex}")


@pytest.mark.parametrize("media_type", ["application/yaml", "application/x-yaml", "text/yaml; charset=utf-8"])
async def test_it_is_the_workflow_that_the_same_in_json_is(shared: System, media_type: str) -> None:
    text = unlike(TEXT)
    made = await send(shared, "POST", "", text, content_type=media_type)
    assert made.status_code == 201, made.text
    document = yaml.safe_load(text)
    checked = await shared.http.post(f"{WORKFLOWS}/validate", json=document)
    assert made.json()["validation"] == checked.json()
    assert made.json()["definition"]["nodes"] == document["nodes"]


async def test_it_can_be_validated_and_changed(shared: System) -> None:
    text = unlike(TEXT)
    assert (await send(shared, "POST", "/validate", text)).json()["valid"]
    made = (await send(shared, "POST", "", text)).json()
    changed = await send(shared, "PUT", f"/{made['id']}", "description: What it is for")
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert changed.json()["description"] == "What it is for"


async def test_a_repeat_under_a_key_is_answered_as_the_first_time(shared: System) -> None:
    text, key = unlike(TEXT), uuid4().hex
    first = await send(shared, "POST", "", text, idempotency_key=key)
    again = await send(shared, "POST", "", text, idempotency_key=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert (await send(shared, "POST", "", unlike(TEXT), idempotency_key=key)).status_code == 409


@pytest.mark.parametrize(
    ("text", "status", "says"),
    [
        ("name: [", 400, "line 1"),
        ("name: &a x\nnodes: *a", 400, "aliases"),
        ("a: 1\na: 2", 400, "is duplicate"),
        ("1: 2", 400, "a key has to be a text"),
        ("- name", 422, "definition"),
        ("name: 99999999999999999999999999", 400, "cannot be represented as JSON"),
        ('name: "\\ud800"', 400, "cannot be represented as JSON"),
        ('name: "\\0"', 422, "NUL"),
        ("a: " + "[" * 2_000, 400, "nested"),
        ("name: x\nnodes: [{id: a, type: nothing}]", 422, "node a"),
        ("name: " + "x" * 200_000, 413, "bytes"),
    ],
)
async def test_what_is_none_is_refused_where_it_is_wrong(shared: System, text: str, status: int, says: str) -> None:
    response = await send(shared, "POST", "", text)
    assert response.status_code == status, response.text
    error: Mapping[str, Any] = response.json()["error"]
    assert says in f"{error['message']} {error['details']}"


async def test_bytes_that_are_no_text_are_refused(shared: System) -> None:
    response = await shared.http.post(WORKFLOWS, content=b"name: \xff", headers={"content-type": "application/yaml"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("path", ["/generate", "/import", "/workflow_x/execute"])
async def test_elsewhere_yaml_is_not_read(shared: System, path: str) -> None:
    response = await send(shared, "POST", path, "description: x")
    assert (response.status_code, response.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_the_description_says_where_yaml_is_taken(shared: System) -> None:
    paths = (await shared.http.get("/openapi.json")).json()["paths"]
    taking = {
        (method, path)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "application/yaml" in operation.get("requestBody", {}).get("content", {})
    }
    change = ("put", f"{WORKFLOWS}/{{workflow_id}}")
    assert taking == {("post", WORKFLOWS), ("post", f"{WORKFLOWS}/validate"), change}


@pytest.mark.parametrize(
    ("json", "key"),
    [
        ('{"name": "a", "name": "b", "nodes": []}', "name"),
        ('{"name": "a", "nodes": [{"id": "x", "type": "transform", "set": {"y": "1", "y": "2"}}]}', "y"),
        ('{"name": "a", "nodes": [], "input": {"type": "object", "type": "object"}}', "type"),
    ],
    ids=["name", "inside", "schema"],
)
@pytest.mark.parametrize("path", ["", "/validate"])
async def test_a_key_that_stands_twice_is_refused_in_json_too(shared: System, path: str, json: str, key: str) -> None:
    answer = await send(shared, "POST", path, json, content_type="application/json")
    assert answer.status_code == 400, answer.text
    assert f"the key '{key}' is duplicate" in answer.text


async def test_a_number_with_more_digits_than_anybody_reads_is_refused(shared: System) -> None:
    text = f'{{"name": "a", "nodes": [], "input": {{"default": {"9" * 5_000}}}}}'
    answer = await send(shared, "POST", "", text, content_type="application/json")
    assert answer.status_code in {400, 422}, answer.text
