"""Whatever is sent to runbooks and administration is refused clearly, and breaks nothing."""

import pytest

from tests.runbooks.stage import GOVERNANCE, RUNS
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXECUTE = f"{GOVERNANCE}/runbook/expire-approvals/execute"
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b'{"parameters": {"limit": 1e400}}',
        b'{"parameters": {"limit": 100000000000000000000000000000000}}',
        b'{"parameters": {"limit": true}}',
        b'{"parameters": {"limit": "1"}}',
        b'{"parameters": {"\\u0000": 1}}',
        b'{"parameters": {"\\ud800": 1}}',
        b'{"parameters": {"limit": [[[[[[1]]]]]]}}',
        b'{"parameters": null}',
        b'{"dry_run": 7}',
        b'{"dry_run": true, "force": true}',
        b'{"parameters": {' + b", ".join(b'"k%d": 1' % number for number in range(30)) + b"}}",
        b"[]",
    ],
)
async def test_a_body_that_is_none_is_refused(shared: System, body: bytes) -> None:
    answer = await shared.http.post(EXECUTE, content=body, headers=JSON)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["error"]["code"] in {"BAD_REQUEST", "VALIDATION_ERROR"}
    assert (await shared.http.get(RUNS)).json()["data"] == []


@pytest.mark.parametrize(
    "path",
    [
        f"{RUNS}?runbook_id=%00",
        f"{RUNS}?runbook_id=%ED%A0%80",
        f"{RUNS}?status=nothing",
        f"{RUNS}/%00",
        f"{RUNS}/runbook_none",
        f"{GOVERNANCE}/slo/alerts?open=perhaps",
        f"{GOVERNANCE}/runbooks?limit=0",
    ],
)
async def test_an_address_that_leads_nowhere_is_refused_or_finds_nothing(shared: System, path: str) -> None:
    answer = await shared.http.get(path)
    assert answer.status_code in {200, 400, 404, 422}, answer.text
    assert answer.status_code != 200 or answer.json()["data"] == []


@pytest.mark.parametrize("prefix", ["convergio:rate:", "*", "convergio:cache:*", "convergio:cache:[a]", "", "\x00"])
async def test_only_caches_can_be_cleared(shared: System, prefix: str) -> None:
    answer = await shared.http.post("/admin/cache/clear", json={"prefix": prefix})
    assert answer.status_code == 422, answer.text
