"""An exported audit verifies offline, and a change of it is found."""

import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from api.audit.export import to_json_lines
from domain.audit.ports import AuditFilter
from domain.audit.projection import AuditRow
from domain.signatures.audit_export import FIELDS
from domain.signatures.jws import MAX_JWS
from domain.signatures.ports import NO_SIGNER
from domain.signatures.statements import AuditSelection
from tests.fuzz_seed import SEED
from tests.signatures.exported import changed, check, export_of, found, jwks_of
from tests.signatures.keys import Deployment
from tests.signatures.test_verifier import Files
from tests.system import OF_ACME, System

AUDIT = "/api/v1/audit"
SAVE = "/api/v1/serialization/save"
ENTRIES = 4


async def export(system: System, headers: Any = None, **query: Any) -> list[bytes]:
    answer = await system.http.get(AUDIT, params={"format": "jsonl", **query}, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return answer.content.splitlines(keepends=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def subject(shared: System) -> str:
    """A component that was saved several times."""
    subject = f"c-{uuid4().hex}"
    body = {"component_id": subject, "component_type": "memory", "state": {}}
    for number in range(ENTRIES):
        answer = await shared.http.post(SAVE, json={**body, "state": {"n": number}})
        assert answer.status_code == 201, answer.text
    return subject


@pytest.mark.asyncio(loop_scope="module")
async def test_it_verifies_and_says_what_was_chosen(shared: System, subject: str) -> None:
    since = datetime.now(UTC) - timedelta(hours=1)
    lines = await export(shared, subject=subject, **{"from": since.isoformat()})
    report = check(lines, jwks_of(shared))
    assert (report.findings, report.lines) == ((), ENTRIES)
    entries, end = [json.loads(line) for line in lines[:-1]], json.loads(lines[-1])
    assert entries == (await shared.http.get(AUDIT, params={"subject": subject})).json()["data"]
    assert {field: end[field] for field in ("kind", "of", "id", "tenant_id", "lines")} == {
        "kind": "end",
        "of": "audit",
        "id": "default",
        "tenant_id": "default",
        "lines": ENTRIES,
    }
    assert end["at"] == entries[0]["at"]
    assert (end["filter_subject"], end["filter_from"]) == (subject, since.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert [end[f"filter_{name}"] for name in ("by", "kind", "to", "before")] == [None] * 4
    assert await export(shared, subject=subject, **{"from": since.isoformat()}) == lines, "nothing else has happened"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_whole_audit_and_an_empty_one_verify(shared: System, subject: str) -> None:
    jwks = jwks_of(shared)
    assert check(await export(shared), jwks).is_valid
    body = {"component_id": "c", "component_type": "m", "state": {}}
    assert (await shared.http.post(SAVE, json=body, headers=OF_ACME)).status_code == 201
    of_acme = await export(shared, OF_ACME)
    assert check(of_acme, jwks).is_valid
    assert json.loads(of_acme[-1])["tenant_id"] == "acme"
    empty = await export(shared, subject="nothing")
    assert (len(empty), check(empty, jwks).findings) == (1, ())


@pytest.mark.asyncio(loop_scope="module")
async def test_every_changed_byte_and_every_line_left_out_doubled_or_moved_is_found(
    shared: System, subject: str
) -> None:
    lines, jwks = await export(shared, subject=subject), jwks_of(shared)
    chance = Random(SEED)  # noqa: S311  (it draws bytes to damage)
    for number, line in enumerate(lines):
        for place in range(len(line)):
            other = line[:place] + bytes([(line[place] + chance.randrange(1, 256)) % 256]) + line[place + 1 :]
            tampered = b"".join([*lines[:number], other, *lines[number + 1 :]]).splitlines(keepends=True)
            assert not check(tampered, jwks).is_valid, (number, place)
        assert not check([*lines[:number], *lines[number + 1 :]], jwks).is_valid
        assert not check([*lines[:number], line, *lines[number:]], jwks).is_valid
        assert not check([*lines, line], jwks).is_valid
    for number in range(1, ENTRIES):
        swapped = [*lines]
        swapped[number - 1], swapped[number] = swapped[number], swapped[number - 1]
        assert found(check(swapped, jwks)) == {(number + 1, "at")}, "the line that is newer than the one before"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_line_that_cannot_be_one_is_named(shared: System, subject: str) -> None:
    lines, jwks = await export(shared, subject=subject), jwks_of(shared)
    for field in FIELDS:
        tampered = [*lines]
        tampered[1] = changed(lines[1], field, None)
        assert (2, field) in found(check(tampered, jwks))
        less = {name: value for name, value in json.loads(lines[1]).items() if name != field}
        tampered[1] = json.dumps(less, separators=(",", ":")).encode() + b"\n"
        assert (2, field) in found(check(tampered, jwks))
    for field, value in (("more", 1), ("signature", "x"), ("at", "2026-01-01T00:00:00"), ("at", "yesterday")):
        assert (2, field) in found(check([lines[0], changed(lines[1], field, value), *lines[2:]], jwks))
    forged = check([lines[0], changed(lines[1], "by", "key_nobody"), *lines[2:]], jwks)
    assert [str(finding) for finding in forged.findings] == [
        f"line {ENTRIES + 1}, digest: the bytes of the lines before are not those that were exported"
    ], "only the end signs who it was"


@pytest.mark.asyncio(loop_scope="module")
async def test_an_export_of_a_session_and_one_of_the_audit_do_not_mix(shared: System, subject: str) -> None:
    assert (await shared.say("Good day.", "mixed")).status_code == 200
    session, audit = await export_of(shared, "/agents/chat/mixed"), await export(shared, subject=subject)
    jwks = jwks_of(shared)
    assert (len(audit), "of") in found(check([*audit[:-1], session[-1]], jwks))
    assert (len(session), "of") in found(check([*session[:-1], audit[-1]], jwks))
    assert (2, "signature") in found(check([audit[0], *session], jwks))
    assert (2, "kind") in found(check([session[0], audit[0], session[-1]], jwks))


def test_the_command_and_the_script_verify_it(deployment: Deployment, tmp_path: Path) -> None:
    files = Files(deployment, tmp_path)
    lines = [*to_json_lines([rows(3)], AuditFilter("default"), files.signer)]
    lines = b"".join(lines).splitlines(keepends=True)
    files.write(lines)
    assert files.verify() == (0, "3 lines verified\n")
    assert files.verify_by_script() == (0, "verified\n")
    forged = [*lines]
    forged[1] = changed(lines[1], "by", "key_nobody")
    for bad, words in ((forged, "line 4, digest: "), (lines[1:], "line 3, "), (lines[:-1], "has no end")):
        files.write(bad)
        for code, output in (files.verify(), files.verify_by_script()):
            assert code == 1
            assert words in output


def test_the_longest_filter_can_be_signed(deployment: Deployment, tmp_path: Path) -> None:
    longest = "\u0001" * 300
    moment = datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    wanted = AuditFilter("t" * 63, longest, longest, longest, moment, moment, 2**63 - 1)
    files = Files(deployment, tmp_path)
    lines = [*to_json_lines([rows(1)], wanted, files.signer)]
    assert len(json.loads(lines[-1])["signature"]) <= MAX_JWS
    files.write(lines)
    assert files.verify() == (0, "1 lines verified\n")


def test_a_million_bytes_more_take_no_more_memory() -> None:
    def batches(count: int) -> Iterator[list[AuditRow]]:
        for _ in range(count):
            yield rows(500)

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in to_json_lines(batches(count), AuditFilter("default"), NO_SIGNER):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(20) < peak(2) * 1.1


def test_a_filter_of_the_audit_is_signed_whole() -> None:
    assert set(asdict(AuditFilter("default"))) == set(asdict(AuditSelection("default")))


def rows(count: int) -> list[AuditRow]:
    at = datetime(2026, 11, 27, 11, tzinfo=UTC)
    return [
        AuditRow(
            position=number,
            tenant_id="default",
            at=at,
            kind="agent.deployed",
            subject='Zwölf 🎲 " \\ \x1f \x7f \u2028',
            by="key_1",
            because=f"req_{number}",
        )
        for number in range(count, 0, -1)
    ]
