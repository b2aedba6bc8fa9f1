"""The books over HTTP: they agree with the provider's bill, to the last token and the last micro-dollar."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from runtime.settings import Settings
from tests.chaos.books import assert_books_agree
from tests.costs.conftest import Spent
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

USAGE = "/api/v1/cost-management/usage"
LEDGER = "/api/v1/cost-management/ledger"
MICRO = Decimal("0.000001")


async def usage(system: System, **asked: str) -> dict[str, Any]:
    response = await system.http.get(USAGE, params=asked)
    assert response.status_code == 200, response.text
    return dict(response.json())


def cost_of(prompt_tokens: int, completion_tokens: int) -> Decimal:
    return (Decimal("0.1") * prompt_tokens + Decimal("0.7") * completion_tokens) / 1_000_000


def is_billed(entry: dict[str, Any]) -> bool:
    return entry["state"] in {"finished", "cut"} and entry["completion_tokens"] > 0


async def test_every_call_is_in_the_books_as_on_the_bill(spent: Spent) -> None:
    counted = assert_books_agree(await spent.system.calls(), spent.bill)
    assert counted == Counter(
        {
            ("settled", "finished"): 5,
            ("failed", "refused"): 1,
            ("cut", "cut"): 1,
            ("unknown", "finished"): 1,  # an answer that could not be read
        }
    )


async def test_the_period_adds_up_to_the_bill(spent: Spent) -> None:
    period = (await usage(spent.system))["current_period"]
    calls = await spent.system.calls()
    paid = [call for call in calls if call["state"] in {"settled", "cut"}]
    assert (period["requests"], period["reserved"], period["failed"], period["unknown"]) == (6, 0, 1, 1)
    assert period["total_tokens"] == sum(call["total_tokens"] for call in paid)
    settled = [entry for entry in spent.bill if entry["state"] == "finished" and entry["completion_tokens"]]
    billed = sum(entry["prompt_tokens"] + entry["completion_tokens"] for entry in settled)
    [cut] = [call for call in calls if call["state"] == "cut"]
    assert period["total_tokens"] == billed + cut["total_tokens"]
    exact = sum(cost_of(call["prompt_tokens"], call["completion_tokens"]) for call in paid)
    assert Decimal(str(period["total_cost"])) == exact.quantize(MICRO)
    assert period["open_cost"] == next(call["worst_case"] for call in calls if call["state"] == "unknown") > 0


async def test_a_price_from_a_file_gives_the_exact_cost(spent: Spent) -> None:
    for call in await spent.system.calls(state="settled"):
        cost = cost_of(call["prompt_tokens"], call["completion_tokens"])
        assert Decimal(str(call["cost"])) == cost.quantize(MICRO)
        assert call["price_known"] is True
        assert call["price_version"]
    with spent.system.parts.database.connection() as connection:
        rows = connection.execute(b"SELECT prompt_tokens, completion_tokens, cost FROM cost_calls").fetchall()
    assert all(cost == cost_of(prompt, completion) for prompt, completion, cost in rows)


async def test_every_grouping_adds_up_to_the_whole(spent: Spent) -> None:
    whole = await usage(spent.system)
    period = whole["current_period"]
    for group_by in ("agent", "model", "day", "session", "workflow", "key"):
        groups = (await usage(spent.system, group_by=group_by))["groups"]
        for name in ("requests", "failed", "unknown"):
            assert sum(group[name] for group in groups) == period[name], (group_by, name)
        assert sum(group["tokens"] for group in groups) == period["total_tokens"]
        total = sum(Decimal(str(group["cost"])) for group in groups)
        assert abs(total - Decimal(str(period["total_cost"]))) <= MICRO * len(groups)
    assert whole["groups"] is None


async def test_groups_are_called_by_their_names(spent: Spent) -> None:
    whole = await usage(spent.system)
    today = datetime.now(UTC).date().isoformat()
    assert [group["agent_id"] for group in whole["by_agent"]] == [AGENT, "amy_cfo"]
    assert [group["model"] for group in whole["by_model"]] == ["scripted"]
    assert [group["date"] for group in whole["daily"]] == [today]

    async def names(group_by: str) -> set[str]:
        return {group["name"] for group in (await usage(spent.system, group_by=group_by))["groups"]}

    assert await names("agent") == {AGENT, "amy_cfo"}
    assert await names("model") == {"scripted"}
    assert await names("day") == {today}
    assert await names("key") == {"anonymous", "key_admin"}
    sessions = await names("session")
    assert spent.session_id in sessions
    assert await names("workflow") == {f"chat-{session_id}" for session_id in sessions}


async def test_a_period_holds_its_own_days_only(spent: Spent) -> None:
    today = datetime.now(UTC).date()
    yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
    everything = [
        {"period": "day"},
        {"period": "week"},
        {"period": "month"},
        {"period": f"{today:%Y-%m}"},
        {"from": today.isoformat()},
        {"to": today.isoformat()},
        {"from": yesterday.isoformat(), "to": tomorrow.isoformat()},
    ]
    for asked in everything:
        assert (await usage(spent.system, **asked))["current_period"]["requests"] == 6, asked
    elsewhere = [
        {"to": yesterday.isoformat()},
        {"to": "0203-09-01"},
        {"from": tomorrow.isoformat()},
        {"from": tomorrow.isoformat(), "to": "2999-01-01"},
    ]
    for asked in elsewhere:
        nothing = await usage(spent.system, **asked)
        assert nothing["current_period"]["requests"] == 0
        assert (nothing["by_agent"], nothing["by_model"], nothing["daily"]) == ([], [], [])
        assert (await usage(spent.system, group_by="session", **asked))["groups"] == []
    day = (await usage(spent.system, period="2024-02"))["current_period"]
    assert (day["period_start"], day["period_end"]) == ("2024-02-01T00:00:00Z", "2024-02-29T23:59:59Z")


@pytest.mark.parametrize(
    "asked",
    [
        {"period": "year"},
        {"period": "2026-13"},
        {"from": "2026-02-30"},
        {"from": "2026-02-02", "to": "2026-02-01"},
        {"group_by": "colour"},
    ],
)
async def test_a_period_that_cannot_be_is_refused(spent: Spent, asked: dict[str, str]) -> None:
    response = await spent.system.http.get(USAGE, params=asked)
    assert response.status_code == 422, response.text
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_the_ledger_filters_by_each_of_its_fields(spent: Spent) -> None:
    calls = await spent.system.calls()
    assert len(calls) == 8
    assert sorted(calls, key=lambda call: call["at"], reverse=True) == calls
    one = calls[3]
    for field in ("state", "kind", "model", "agent_id", "session_id", "workflow_id", "key_id", "call_id"):
        found = await spent.system.calls(**{field: one[field]})
        assert found == [call for call in calls if call[field] == one[field]], field
        assert one in found
    assert await spent.system.calls(agent_id="nobody") == []
    assert await spent.system.calls(since=one["at"]) == [call for call in calls if call["at"] >= one["at"]]
    assert await spent.system.calls(before=one["at"]) == [call for call in calls if call["at"] < one["at"]]


async def test_the_ledger_comes_in_pages(spent: Spent) -> None:
    calls = await spent.system.calls()
    response = await spent.system.http.get(LEDGER, params={"skip": 2, "limit": 3})
    assert response.json()["data"] == calls[2:5]
    assert response.json()["pagination"] == {"total": 8, "skip": 2, "limit": 3, "has_next": True, "has_prev": True}


async def test_the_ledger_names_what_the_provider_called_it(spent: Spent) -> None:
    named = {call["provider_call_id"] for call in await spent.system.calls(state="settled")}
    assert named == {f"chatcmpl-{entry['n']}" for entry in spent.bill if is_billed(entry) and entry["state"] != "cut"}


@pytest.mark.asyncio(loop_scope="function")
async def test_a_model_without_a_price_is_said_to_have_none(
    system: System, system_settings: Settings, scripted_model: ScriptedModel
) -> None:
    response = await system.say("How much?")
    assert response.json()["usage"]["cost"] == 0
    [call] = await system.calls()
    assert (call["price_known"], call["price_version"], call["cost"]) == (False, "none", 0)


@pytest.mark.asyncio(loop_scope="function")
async def test_books_without_a_call_are_empty(system: System) -> None:
    books = await usage(system)
    assert books["current_period"]["total_cost"] == 0
    assert books["current_period"]["total_tokens"] == 0
    assert (books["by_agent"], books["by_model"], books["daily"]) == ([], [], [])
    assert await system.calls() == []
