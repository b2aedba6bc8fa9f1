"""Schedules of runbooks: for operators only, each firing a run."""

import httpx
import pytest

from tests.runbooks.stage import ended
from tests.schedules.stage import NEVER, PATH, call, fired, make
from tests.schedules.test_callers import holding, new_key
from tests.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLEARING = {"kind": "runbook", "runbook_id": "clear-cache", "parameters": {"prefix": "convergio:cache:old:"}}


async def test_a_firing_runs_the_runbook_with_its_parameters(shared: System) -> None:
    made = await make(shared, CLEARING)
    assert (made["target_kind"], made["target_id"]) == ("runbook", "clear-cache")
    await call(shared, made, "trigger")
    (firing,) = await fired(shared, made)
    assert firing["status"] == "accepted", firing
    run = await ended(shared, firing["run"]["location"])
    assert (run["runbook_id"], run["status"]) == ("clear-cache", "completed")
    assert run["parameters"] == CLEARING["parameters"]
    assert run["requested_by"] == made["acts_as"]


async def test_only_an_operator_schedules_a_runbook_or_changes_such_a_schedule(shared: System) -> None:
    writer = holding(await new_key(shared))
    refused = await shared.http.post(PATH, json={"target": CLEARING, **NEVER}, headers=writer)
    assert refused.status_code == 403, refused.text
    made = await make(shared, CLEARING)
    one = f"{PATH}/{made['id']}"
    answers = [
        await shared.http.put(one, json={"name": "Mine"}, headers=writer),
        await shared.http.delete(one, headers=writer),
        *[await call(shared, made, verb, writer) for verb in ("pause", "resume", "trigger")],
    ]
    assert [answer.status_code for answer in answers] == [403] * 5
    plain = await make(shared, headers=writer)
    turned = await shared.http.put(f"{PATH}/{plain['id']}", json={"target": CLEARING}, headers=writer)
    assert turned.status_code == 403


@pytest.mark.parametrize(
    "changes",
    [{"runbook_id": "backup"}, {"parameters": {"prefix": "convergio:rate:"}}, {"parameters": {"unknown": 1}}],
    ids=["no such runbook", "no cache", "no such parameter"],
)
async def test_a_runbook_that_cannot_be_run_is_not_scheduled(shared: System, changes: dict[str, object]) -> None:
    refused: httpx.Response = await shared.http.post(PATH, json={"target": {**CLEARING, **changes}, **NEVER})
    assert refused.status_code == 422, refused.text
