"""Bodies are bounded JSON that PostgreSQL can hold; what is not is refused before any route sees it."""

import json
from collections.abc import AsyncIterator

import orjson
import pytest
from fastapi import APIRouter, Request, Response

from tests.api.toy import Toy, client, refused, toy_app

JSON = {"content-type": "application/json"}
URL = "/api/v1/things"


def nested(depth: int) -> bytes:
    return b'{"name":"x","context":{"deep":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}}"


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1024):
        yield b" " * 1024


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"name=x",
        b'{"name": NaN}',
        b'{"name": -Infinity}',
        b'{"name": 1e999}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"\xed\xa0\x80",
    ],
)
async def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    async with client(toy_app()) as api:
        refused(await api.post(URL, content=body, headers=JSON), 400, "BAD_REQUEST")


LARGE = ["9223372036854775808", "-9223372036854775809", "18446744073709551615", "1" + "0" * 30, "-" + "9" * 300]


@pytest.mark.parametrize("number", LARGE, ids=lambda number: f"{number[:4]} of {len(number)}")
async def test_an_integer_beyond_64_bits_is_a_floating_point_number_from_here_on(number: str) -> None:
    sent = f'{{"n":{number},"deep":[[{{"m":[0,{number}]}}]],"n {number}":"{number}","most":9223372036854775807}}'
    async with client(toy_app(routers=(echo(),))) as api:
        answer = await api.post("/echo", content=sent.encode(), headers=JSON)
    told = answer.json()
    assert told == {
        "n": float(number),
        "deep": [[{"m": [0, float(number)]}]],
        f"n {number}": number,
        "most": 9223372036854775807,
    }
    assert (type(told["n"]), type(told["most"])) == (float, int)


@pytest.mark.parametrize("number", LARGE)
async def test_a_field_that_is_an_integer_refuses_one_beyond_64_bits(number: str) -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, content=f'{{"name":"x","size":{number}}}'.encode(), headers=JSON)
    assert refused(answer, 422, "VALIDATION_ERROR")["details"]["field"] == "size"


@pytest.mark.parametrize(
    "context",
    [
        '{"n":9223372036854775807,"m":-9223372036854775808}',
        '{"n":0.1234567890123456789012345}',
        '{"n":1e30,"m":1.5e300}',
        '{"n":12345678901234567890.5}',
    ],
)
async def test_whatever_else_is_long_stays_as_it_is(context: str) -> None:
    async with client(toy_app(routers=(echo(),))) as api:
        answer = await api.post("/echo", content=context.encode(), headers=JSON)
    assert answer.json() == json.loads(context)


def echo() -> APIRouter:
    """A route that says what it was told, through a reader and a writer that differ in what they can."""
    routes = APIRouter()

    @routes.post("/echo", tags=["Admin"])
    async def told(request: Request) -> Response:
        """Say it again."""
        return Response(orjson.dumps(await request.json()), media_type="application/json")

    return routes


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
async def test_a_body_that_does_not_say_it_is_json_is_unsupported(kind: str) -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, content=b'{"name":"x"}', headers={"content-type": kind})
        refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_compressed_body_is_unsupported() -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, content=b"x", headers={**JSON, "content-encoding": "gzip"})
        refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"]
)
async def test_json_may_be_named_in_full(kind: str) -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, content=b'{"name":"x"}', headers={"content-type": kind})
        assert answer.status_code == 201


async def test_a_large_body_is_refused_by_its_length_alone() -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, content=b" " * (1024 * 1024 + 1), headers=JSON)
        refused(answer, 413, "PAYLOAD_TOO_LARGE")


async def test_a_large_body_is_refused_without_a_length_too() -> None:
    async with client(toy_app()) as api:
        refused(await api.post(URL, content=pieces(1024 * 1025), headers=JSON), 413, "PAYLOAD_TOO_LARGE")


async def test_a_body_in_pieces_within_the_bound_arrives_whole() -> None:
    async def body() -> AsyncIterator[bytes]:
        for piece in (b'{"name"', b':"in ', b'pieces"}'):
            yield piece

    async with client(toy_app()) as api:
        answer = await api.post(URL, content=body(), headers=JSON)
    assert answer.json()["name"] == "in pieces"


async def test_a_path_may_allow_more() -> None:
    async with client(toy_app(larger_bodies={URL: 2 * 1024 * 1024})) as api:
        answer = await api.post(URL, content=b'{"name":"x"}' + b" " * (1024 * 1024), headers=JSON)
        assert answer.status_code == 201


async def test_nesting_is_bounded() -> None:
    async with client(toy_app()) as api:
        assert (await api.post(URL, content=nested(64), headers=JSON)).status_code == 201
        for depth in (65, 1000, 5000, 200_000):
            refused(await api.post(URL, content=nested(depth), headers=JSON), 422, "VALIDATION_ERROR")


async def test_brackets_in_texts_are_no_nesting() -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, json={"name": "x", "context": {"text": '[[{"\\' * 200}})
        assert answer.status_code == 201


HIDDEN_NULS = [
    (b'{"name":"a\\u0000b"}', "name"),
    (b'{"name":"x","context":{"a":[1,{"b":"\\u0000"}]}}', "context.a.1.b"),
    (b'{"name":"x","context":{"a\\u0000":1}}', "context.a\\u0000"),
]


@pytest.mark.parametrize(("body", "field"), HIDDEN_NULS)
async def test_nul_characters_are_refused_by_the_field_they_are_in(body: bytes, field: str) -> None:
    async with client(toy_app()) as api:
        error = refused(await api.post(URL, content=body, headers=JSON), 422, "VALIDATION_ERROR")
    assert error["details"]["field"] == field


async def test_a_backslash_before_u0000_is_no_nul() -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, content=b'{"name":"a\\\\u0000b"}', headers=JSON)
        assert answer.json()["name"] == "a\\u0000b"


async def test_nul_characters_in_path_and_query_are_refused() -> None:
    async with client(toy_app()) as api:
        refused(await api.get("/api/v1/things/%00"), 422, "VALIDATION_ERROR")
        refused(await api.get("/api/v1/things?q=a%00"), 422, "VALIDATION_ERROR")


async def test_an_endless_path_or_query_is_a_bad_request() -> None:
    async with client(toy_app()) as api:
        refused(await api.get("/api/v1/things/" + "1" * 9000), 400, "BAD_REQUEST")
        refused(await api.get("/api/v1/things?q=" + "1" * 9000), 400, "BAD_REQUEST")


async def test_texts_without_a_bound_of_their_own_are_bounded() -> None:
    toy = Toy()
    async with client(toy_app(toy)) as api:
        refused(await api.post(URL, json={"name": "x", "tags": ["y" * 100_001]}), 422, "VALIDATION_ERROR")
    assert toy.made == 0


async def test_a_number_of_thousands_of_digits_is_refused() -> None:
    async with client(toy_app()) as api:
        answer = await api.post(URL, content=b'{"name":"x","context":{"n":' + b"9" * 300 + b"}}", headers=JSON)
        assert answer.status_code == 201
        answer = await api.post(URL, content=b'{"name":"x","size":' + b"9" * 5000 + b"}", headers=JSON)
        refused(answer, 400, "BAD_REQUEST")


async def test_a_missing_body_names_what_is_missing() -> None:
    async with client(toy_app()) as api:
        error = refused(await api.post(URL), 422, "VALIDATION_ERROR")
    assert error["details"]["field"] == "body"
