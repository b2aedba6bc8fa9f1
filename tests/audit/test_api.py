"""The audit over HTTP."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.app import create_app
from api.audit import routes as audit_routes
from api.http.api_keys import key_hash
from domain.audit.ports import AuditFilter, AuditPage
from domain.audit.projection import AuditRow
from domain.keys.ports import StoredKey
from domain.signatures.ports import NO_SIGNER
from tests.api.toy import SECRET, WITH_ADMIN, Toy, client, parts, refused
from tests.system import ACME_KEY, ADMIN_KEY, OF_ACME, OF_ZETA, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/api/v1/audit"
SAVE = "/api/v1/serialization/save"


async def read(system: System, headers: Any = None, **query: Any) -> httpx.Response:
    return await system.http.get(PATH, params=query, headers=headers)


async def save(system: System, component_id: str, **headers: str) -> None:
    body = {"component_id": component_id, "component_type": "memory", "state": {"text": "Not for the audit."}}
    assert (await system.http.post(SAVE, json=body, headers=headers)).status_code == 201


async def test_it_shows_who_did_what_when_and_why(shared: System) -> None:
    subject = f"c-{uuid4().hex}"
    await save(shared, subject, **{"X-Request-ID": "my-request", "X-API-Key": ADMIN_KEY})
    listed = (await read(shared, subject=subject)).json()
    (entry,) = listed["data"]
    assert (entry["by"], entry["because"], entry["kind"], entry["subject"]) == (
        "key_admin",
        "my-request",
        "component.saved",
        subject,
    )
    assert entry["at"].endswith("Z")
    assert (listed["total"], listed["next"], listed["pagination"]["has_next"]) == (1, None, False)


async def test_it_is_filtered_by_key_kind_subject_and_time(shared: System) -> None:
    subject = f"c-{uuid4().hex}"
    for _ in range(3):
        await save(shared, subject)
    entries = (await read(shared, subject=subject)).json()["data"]
    assert [e["position"] for e in entries] == sorted((e["position"] for e in entries), reverse=True)
    middle = entries[1]

    async def positions(**query: Any) -> list[int]:
        return [e["position"] for e in (await read(shared, subject=subject, **query)).json()["data"]]

    newest, _, oldest = (e["position"] for e in entries)
    assert await positions(**{"from": middle["at"]}) == [newest, middle["position"]]
    assert await positions(to=middle["at"]) == [oldest]
    assert await positions(before=middle["position"]) == [oldest]
    assert await positions(by="anonymous", kind="component.saved", limit=1) == [newest]
    assert await positions(by="key_admin") == []
    assert await positions(kind="component.deleted") == []


async def test_two_tenants_see_nothing_of_each_other(shared: System) -> None:
    subject = f"c-{uuid4().hex}"
    await save(shared, subject, **OF_ACME)
    (entry,) = (await read(shared, OF_ACME, subject=subject)).json()["data"]
    assert (await read(shared, OF_ZETA, subject=subject)).json()["data"] == []
    assert (await read(shared, OF_ZETA, by="key_acme")).json()["data"] == []
    assert (await read(shared, OF_ZETA, before=entry["position"])).json()["data"] == []
    for form in ("csv", "jsonl"):
        assert subject not in (await read(shared, OF_ZETA, format=form)).text
        assert subject in (await read(shared, OF_ACME, format=form)).text


async def test_no_text_is_in_it(shared: System) -> None:
    await save(shared, f"c-{uuid4().hex}")
    assert "Not for the audit" not in (await read(shared, format="jsonl")).text


async def test_a_spreadsheet_computes_nothing_of_an_export(shared: System) -> None:
    subject = f"c-{uuid4().hex}"
    for request_id in ('=HYPERLINK("http://evil/")', "+1+1", "-2", "@SUM(A1)", 'a,"b";c'):
        await save(shared, subject, **{"X-Request-ID": request_id})
    exported = await read(shared, format="csv", subject=subject)
    assert exported.headers["content-type"] == "text/csv; charset=utf-8"
    assert exported.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(exported.text.splitlines()))
    assert [row["because"] for row in rows] == ['a,"b";c', "'@SUM(A1)", "'-2", "'+1+1", '\'=HYPERLINK("http://evil/")']
    *lines, _ = (await read(shared, format="jsonl", subject=subject)).text.splitlines()
    assert [json.loads(line)["because"] for line in lines][-1] == '=HYPERLINK("http://evil/")'
    assert json.loads(lines[0]) == (await read(shared, subject=subject)).json()["data"][0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from", "yesterday"),
        ("from", "2026-11-28T12:00:00"),
        ("to", "0001-01-01T00:00:00+23:59"),
        ("to", "9999-12-31T23:59:59-23:59"),
        ("before", "0"),
        ("before", str(2**63)),
        ("skip", "10001"),
        ("limit", "1001"),
        ("format", "xml"),
        ("by", ""),
        ("by", "x" * 301),
    ],
)
async def test_a_bad_parameter_is_named(shared: System, field: str, value: str) -> None:
    answer = await read(shared, **{field: value})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == field


async def test_hostile_filters_find_nothing(shared: System) -> None:
    for text in ("' OR 1=1 --", "%", "_", "\\", "\u202e\U0001f4a3", "%(by)s", "{}"):
        for name in ("by", "kind", "subject"):
            found = await read(shared, **{name: text})
            assert (found.status_code, found.json()["data"]) == (200, [])


class _NoAudit:
    """An audit without entries."""

    def page(self, wanted: AuditFilter, *, skip: int, limit: int) -> AuditPage:
        return AuditPage([], 0)

    def export(self, wanted: AuditFilter) -> Iterator[list[AuditRow]]:
        yield from ()


async def test_it_needs_the_scope_admin() -> None:
    limited = StoredKey("key_limited", frozenset({"read", "write", "approve"}))
    known = {**WITH_ADMIN, key_hash(ACME_KEY): limited}
    app = create_app(
        replace(parts(Toy(), auth_on=True, keys=known), routers=(audit_routes.router(_NoAudit(), NO_SIGNER),))
    )
    async with client(app) as api:
        assert (await api.get(PATH, headers={"x-api-key": SECRET})).status_code == 200
        for form in ("json", "csv", "jsonl"):
            answer = await api.get(PATH, params={"format": form}, headers={"x-api-key": ACME_KEY})
            refused(answer, 403, "FORBIDDEN")
