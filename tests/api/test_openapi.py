"""The description says what the web layer does, and the pages that show it need no network."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings

from tests.api.toy import WITH_ADMIN, client, toy_app


async def described(**changes: Any) -> dict[str, Any]:
    async with client(toy_app(**changes)) as api:
        found: dict[str, Any] = (await api.get("/openapi.json")).json()
        return found


async def test_every_operation_documents_its_refusals_in_the_envelope() -> None:
    schema = await described()
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            assert {"400", "422", "429", "500", "503"} <= set(operation["responses"]), path
    error = schema["components"]["responses"]["Error422"]["content"]["application/json"]["schema"]
    assert error == {"$ref": "#/components/schemas/ErrorEnvelope"}
    assert "HTTPValidationError" not in str(schema)


async def test_operations_are_named_by_their_function_once() -> None:
    schema = await described()
    names = [operation["operationId"] for methods in schema["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    assert {"health", "live", "ready", "who", "drop"} <= set(names)


async def test_headers_are_documented_where_they_apply() -> None:
    schema = await described()
    things = schema["paths"]["/api/v1/things"]
    assert {"$ref": "#/components/parameters/IdempotencyKey"} in things["post"]["parameters"]
    assert {"$ref": "#/components/parameters/IdempotencyKey"} not in things["get"]["parameters"]
    assert {"$ref": "#/components/parameters/RequestId"} in things["get"]["parameters"]
    drop = schema["paths"]["/api/v1/things/{number}"]["delete"]["parameters"]
    assert "if-match" in {parameter.get("name", "").lower() for parameter in drop}


async def test_keys_are_asked_for_in_the_description_when_they_are_asked_for() -> None:
    off, on = await described(), await described(auth_on=True, keys=WITH_ADMIN)
    assert "security" not in off["paths"]["/api/v1/things"]["get"]
    assert on["paths"]["/api/v1/things"]["get"]["security"] == [{"bearer": []}, {"api_key": []}]
    assert "security" not in on["paths"]["/health"]["get"]


async def test_the_description_has_the_title_and_tags_of_the_reference() -> None:
    schema = await described()
    assert schema["info"]["title"] == "Convergio API"
    assert schema["info"]["version"] == "9.9.9"
    assert {"Health", "Monitoring", "Admin"} == {tag["name"] for tag in schema["tags"]}


async def test_the_pages_load_nothing_from_elsewhere_and_their_scripts_are_allowed_by_hash() -> None:
    async with client(toy_app()) as api:
        for path in ("/docs", "/redoc"):
            page = await api.get(path)
            addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
            assert addresses
            for address in addresses:
                assert address.startswith("/"), address
                assert (await api.get(address)).status_code == 200
            for script in re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL):
                digest = b64encode(sha256(script.encode()).digest()).decode()
                assert f"'sha256-{digest}'" in page.headers["content-security-policy"]
            assert "http" not in page.headers["content-security-policy"]


SCHEMA = schemathesis.openapi.from_asgi("/openapi.json", toy_app(), headers={"host": "localhost"})


@SCHEMA.exclude(path_regex="/fail/").parametrize()
@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_the_fuzzer_finds_no_answer_outside_the_description(case: schemathesis.Case[Any]) -> None:
    answer = case.call_and_validate(headers={"host": "localhost"})
    if answer.status_code >= 400:
        assert answer.json()["success"] is False
