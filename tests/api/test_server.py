"""The rules hold on the wire too, where requests need not be what a client library would send."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.serve import running
from tests.api.toy import refused

URL = "/api/v1/things"


@pytest.fixture(scope="module")
def address(valkey_server: str, module_database_url: str) -> Iterator[str]:
    with running(f"{valkey_server.rpartition('/')[0]}/9999", module_database_url) as (found, _):
        yield found


def spoken(address: str, sent: bytes) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of the first answer to these bytes."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        with connection.makefile("rb") as answer:
            status = int(answer.readline().split()[1])
            lines = iter(lambda: answer.readline().decode().strip(), "")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            return status, headers, json.loads(answer.read(int(headers["content-length"])))


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"FROB / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Header\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-A: a\x00b\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
def test_what_is_no_http_of_ours_is_refused_in_the_envelope(address: str, sent: bytes) -> None:
    status, headers, envelope = spoken(address, sent)
    assert (status, envelope["error"]["code"]) == (400, "BAD_REQUEST")
    assert envelope["request_id"] == headers["x-request-id"]


def test_a_body_without_end_is_refused_when_it_is_too_long(address: str) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(2000):
            yield b" " * 1024

    answer = httpx.post(address + URL, content=endless(), headers={"content-type": "application/json"}, timeout=10)
    refused(answer, 413, "PAYLOAD_TOO_LARGE")


def test_a_body_that_says_it_is_too_long_is_refused_before_it_is_sent(address: str) -> None:
    head = (
        f"POST {URL} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
    )
    status, headers, envelope = spoken(address, head.encode())
    assert (status, envelope["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/api/v1/things/%ff", "/api/v1/things/%ed%a0%80", "/api/v1/things/%2e%2e%2f", "/%00"])
def test_paths_of_any_bytes_are_refused_in_the_envelope(address: str, path: str) -> None:
    status, _, envelope = spoken(address, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert status in {404, 422}
    assert envelope["success"] is False


def test_head_leaves_the_connection_in_order(address: str) -> None:
    with httpx.Client() as http:
        answers = [http.head(address + "/health/live"), http.get(address + "/health/live")]
    assert [(answer.status_code, len(answer.content)) for answer in answers] == [(200, 0), (200, 18)]


def test_a_connection_serves_many_requests(address: str) -> None:
    with httpx.Client() as http:
        statuses = [http.get(address + URL + path).status_code for path in ("/7", "/x", "/404", "/fail/bug", "/7")]
    assert statuses == [200, 422, 404, 500, 200]
