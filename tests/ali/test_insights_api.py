"""What stands out, over HTTP: nothing at first, then what really happened, with its evidence."""

from datetime import UTC, datetime

import pytest

from domain.ali.thresholds import Thresholds
from tests.scripted_model import ScriptedModel
from tests.system import System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

INSIGHTS = "/api/v1/agents/ali/insights"


async def test_where_nothing_stands_out_the_list_is_empty_and_then_it_is_what_happened(
    shared: System, scripted_model: ScriptedModel
) -> None:
    quiet = (await shared.http.get(INSIGHTS)).json()
    assert (quiet["insights"], quiet["total"]) == ([], 0)
    assert quiet["pagination"] == {"total": 0, "skip": 0, "limit": 100, "has_next": False, "has_prev": False}
    scripted_model.script({"contains": "Fail", "status": 401, "times": None})
    for number in range(6):
        await shared.say("Fail." if number < 4 else "Go on.", agent_id="amy_cfo")
    [failing] = (await shared.http.get(INSIGHTS)).json()["insights"]
    today = datetime.now(UTC).date()
    assert (failing["kind"], failing["severity"], failing["subject"]) == ("failing_agent", "critical", "agent:amy_cfo")
    assert failing["title"] == f"4 of 6 turns of amy_cfo failed on {today} (67%)"
    evidence = failing["evidence"]
    assert (evidence["metric"], evidence["value"], evidence["baseline"]) == ("failed_share", 0.666667, None)
    assert evidence["window"]["from"] == f"{today}T00:00:00Z"
    assert evidence["window"]["to"] == failing["detected_at"]
    again = (await shared.http.get(INSIGHTS)).json()["insights"]
    assert [it["id"] for it in again] == [failing["id"]]


@pytest.mark.parametrize(
    ("asked", "total"),
    [
        ({}, 1),
        ({"kind": "failing_agent"}, 1),
        ({"severity": "critical"}, 1),
        ({"kind": "cost_spike"}, 0),
        ({"severity": "info"}, 0),
        ({"kind": "failing_agent", "severity": "warning"}, 0),
    ],
    ids=str,
)
async def test_filters_leave_out_the_rest(
    shared: System, scripted_model: ScriptedModel, asked: dict[str, str], total: int
) -> None:
    """After the test above."""
    found = (await shared.http.get(INSIGHTS, params=asked)).json()
    assert (len(found["insights"]), found["total"]) == (total, total)


async def test_the_list_comes_in_pages(shared: System, scripted_model: ScriptedModel) -> None:
    page = (await shared.http.get(INSIGHTS, params={"skip": 1, "limit": 5})).json()
    assert (page["insights"], page["total"], page["pagination"]["has_prev"]) == ([], 1, True)


@pytest.mark.parametrize("asked", [{"kind": "bad_weather"}, {"severity": "fatal"}, {"limit": 0}], ids=str)
async def test_a_filter_that_cannot_be_is_refused(
    shared: System, scripted_model: ScriptedModel, asked: dict[str, str]
) -> None:
    assert (await shared.http.get(INSIGHTS, params=asked)).status_code == 422


async def test_a_decision_that_is_owed_for_too_long_is_told(shared: System, scripted_model: ScriptedModel) -> None:
    held = await shared.say("May I?", require_approval=True)
    assert held.status_code == 202, held.text
    approval_id = held.json()["approval_id"]
    assert approval_id is not None
    await until(
        lambda: shared.http.get("/api/v1/approvals/pending"),
        lambda it: [row["id"] for row in it.json()["pending_approvals"]] == [approval_id],
    )
    stuck = {"kind": "stuck_approval"}
    assert (await shared.http.get(INSIGHTS, params=stuck)).json()["insights"] == []
    with shared.parts.database.connection() as connection:
        connection.execute(
            b"UPDATE approvals SET created_at = created_at - interval '13 h', expires_at = expires_at - interval '13 h'"
        )
    [told] = (await shared.http.get(INSIGHTS, params=stuck)).json()["insights"]
    assert (told["subject"], told["severity"]) == (f"approval:{approval_id}", "warning")
    assert told["evidence"]["value"] >= told["evidence"]["baseline"] > 12 * 3600 - 1
    assert Thresholds().approvals.stuck_part == 0.5
