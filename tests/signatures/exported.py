"""Exports to verify: real ones of a running system, and the public keys as a third party has them."""

from functools import partial
from typing import Any

import httpx
import orjson

from adapters.cryptography.key_material import is_valid
from domain.signatures import jws
from domain.signatures.export import encode_line
from domain.signatures.export_verifier import ExportReport, verify_export
from domain.signatures.jwks import parse_jwks
from tests.system import System


async def export_of(system: System, path: str) -> list[bytes]:
    """The lines of an export, with their line ends."""
    response = await system.http.get(f"/api/v1{path}/export")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/x-ndjson")
    return response.content.splitlines(keepends=True)


async def assert_export_verifies(http: httpx.AsyncClient, path: str) -> int:
    """What the API exports verifies with the keys that it publishes; the number of its lines."""
    export = (await http.get(f"/api/v1{path}/export")).raise_for_status()
    keys = (await http.get("/api/v1/agents/signatures")).raise_for_status()
    report = check(export.content.splitlines(keepends=True), keys.content)
    assert report.findings == ()
    return report.lines


def jwks_of(system: System) -> bytes:
    return orjson.dumps({"keys": system.parts.signatures.reader.ring(fresh=True).jwks()})


def check(lines: list[bytes], jwks: bytes) -> ExportReport:
    return verify_export(lines, partial(jws.verify, keys=parse_jwks(jwks), is_valid=is_valid))


def found(report: ExportReport) -> set[tuple[int, str]]:
    return {(each.line, each.field) for each in report.findings}


def changed(line: bytes, field: str, value: Any) -> bytes:
    return encode_line({**orjson.loads(line), field: value}) + b"\n"
