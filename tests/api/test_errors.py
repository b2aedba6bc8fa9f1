"""Every answer from 400 up is the error envelope, and says nothing it should not."""

import pytest
from structlog.testing import capture_logs

from tests.api.toy import client, refused, toy_app


async def test_an_unknown_path_is_not_found_in_the_envelope() -> None:
    async with client(toy_app()) as api:
        refused(await api.get("/api/v1/nothing"), 404, "NOT_FOUND")
        refused(await api.get("/api/v1/things/"), 404, "NOT_FOUND")


async def test_a_method_that_a_path_lacks_is_refused_with_all_that_it_has() -> None:
    async with client(toy_app()) as api:
        answer = await api.put("/api/v1/things", json={})
        refused(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "GET, HEAD, POST"
        refused(await api.request("BREW", "/api/v1/things"), 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("conflict", 409, "CONFLICT"),
        ("budget", 429, "BUDGET_EXCEEDED"),
        ("upstream", 502, "UPSTREAM_ERROR"),
        ("away", 503, "SERVICE_UNAVAILABLE"),
        ("timeout", 503, "SERVICE_UNAVAILABLE"),
        ("refused", 503, "SERVICE_UNAVAILABLE"),
        ("bug", 500, "INTERNAL_ERROR"),
    ],
)
async def test_each_refusal_has_its_status_and_code(how: str, status: int, code: str) -> None:
    async with client(toy_app()) as api:
        answer = await api.get(f"/api/v1/things/fail/{how}")
    refused(answer, status, code)
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_details_of_a_refusal_are_shown() -> None:
    async with client(toy_app()) as api:
        assert refused(await api.get("/api/v1/things/404"), 404, "NOT_FOUND")["details"] == {"id": 404}
        assert (await api.get("/api/v1/things/fail/away")).headers["retry-after"] == "7"


async def test_an_accident_is_logged_with_its_traceback_under_the_request_id() -> None:
    async with client(toy_app()) as api:
        with capture_logs() as logs:
            await api.get("/api/v1/things/fail/bug")
    assert [(line["event"], line["log_level"]) for line in logs] == [("request failed", "error"), ("request", "info")]
    assert logs[0]["exc_info"] is True


async def test_a_validation_error_names_every_bad_field() -> None:
    async with client(toy_app()) as api:
        answer = await api.post("/api/v1/things", json={"size": -1, "tags": ["a", 2], "colour": "red"})
    details = refused(answer, 422, "VALIDATION_ERROR")["details"]
    assert {fault["field"] for fault in details["errors"]} == {"name", "size", "tags.1", "colour"}
    assert details["field"] == details["errors"][0]["field"]
    assert details["reason"] == details["errors"][0]["reason"]


async def test_bad_path_and_query_values_are_validation_errors_that_say_where() -> None:
    async with client(toy_app()) as api:
        path = refused(await api.get("/api/v1/things/x"), 422, "VALIDATION_ERROR")
        query = refused(await api.get("/api/v1/things?skip=-1&limit=1001"), 422, "VALIDATION_ERROR")
    assert [(fault["location"], fault["field"]) for fault in path["details"]["errors"]] == [("path", "number")]
    assert [fault["field"] for fault in query["details"]["errors"]] == ["skip", "limit"]


async def test_what_was_sent_is_not_repeated_in_a_validation_error() -> None:
    async with client(toy_app()) as api:
        answer = await api.post("/api/v1/things", json={"name": "x" * 51, "size": "hush"})
    assert "hush" not in answer.text
    assert "xxx" not in answer.text


async def test_a_number_that_json_writers_cannot_hold_is_refused_like_any_other() -> None:
    async with client(toy_app()) as api:
        refused(await api.delete("/api/v1/things/8307849986142612089733120"), 404, "NOT_FOUND")


async def test_a_named_path_is_not_taken_for_an_id() -> None:
    async with client(toy_app()) as api:
        answer = await api.get("/api/v1/things/key")
        refused(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "POST"
        assert (await api.delete("/api/v1/things/7")).status_code == 200
