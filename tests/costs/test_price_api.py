"""Prices and what-if over HTTP, on the books of a few calls."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from adapters.postgres.figures.what_if import PostgresWhatIf
from domain.costs.price_book import NOTICE
from tests.costs.conftest import Spent
from tests.system import ADMIN_KEY, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICES = "/api/v1/cost-management/prices"
WHAT_IF = "/api/v1/cost-management/what-if"
USAGE = "/api/v1/cost-management/usage"
MICRO = Decimal("0.000001")
OPERATOR = {"X-API-Key": ADMIN_KEY}
OURS = {"model": "ours", "input_per_million": "0.4", "output_per_million": 1.6, "cached_input_per_million": "0.1"}


async def put(system: System, *, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await system.http.put(PRICES, json=body, headers={**OPERATOR, **(headers or {})})


async def prices(system: System, **asked: str) -> dict[str, Any]:
    response = await system.http.get(PRICES, params=asked)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def what_if(system: System, model: str, **asked: str) -> dict[str, Any]:
    response = await system.http.get(WHAT_IF, params={"model": model, **asked})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_the_models_that_were_called_and_those_of_the_file_are_listed(spent: Spent) -> None:
    listed = await prices(spent.system)
    assert (listed["total"], listed["pagination"]["has_next"]) == (len(listed["data"]), False)
    shown = {price["model"]: price for price in listed["data"]}
    assert shown["scripted"] == {
        "model": "scripted",
        "source": "file",
        "version": next(call["price_version"] for call in await spent.system.calls(state="settled")),
        "valid_from": "2020-01-01T00:00:00Z",
        "input_per_million": 0.1,
        "cached_input_per_million": 0.1,
        "cache_write_per_million": 0.1,
        "output_per_million": 0.7,
        "per_request": 0,
        "tiers": [],
        "other_rates": {},
    }


async def test_any_model_of_the_list_can_be_asked_for(spent: Spent) -> None:
    [tiered] = (await prices(spent.system, model="gemini-2.5-pro"))["data"]
    assert tiered["source"] == "list"
    assert tiered["tiers"][0]["above_prompt_tokens"] == 200_000
    assert tiered["tiers"][0]["input_per_million"] > tiered["input_per_million"] > tiered["cached_input_per_million"]
    [unknown] = (await prices(spent.system, model="nobodys"))["data"]
    assert (unknown["source"], unknown["version"], unknown["input_per_million"]) == ("none", "none", None)


async def test_a_price_is_set_shown_at_once_and_withdrawn(spent: Spent) -> None:
    response = await put(spent.system, prices=[OURS])
    assert response.status_code == 200, response.text
    version = response.json()["version"]
    assert response.headers["etag"] == f'"{version}"'
    [ours] = response.json()["data"]
    assert (ours["source"], ours["version"]) == ("operator", f"operator:{version}")
    assert (ours["input_per_million"], ours["output_per_million"], ours["cached_input_per_million"]) == (0.4, 1.6, 0.1)
    assert abs(datetime.fromisoformat(ours["valid_from"]) - datetime.now(UTC)) < 2 * NOTICE
    listed = await prices(spent.system)
    assert ours in listed["data"]
    assert listed["version"] == version
    stale = await put(spent.system, withdraw=["ours"], headers={"if-match": f'"{version - 1}"'})
    assert (stale.status_code, stale.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    gone = await put(spent.system, withdraw=["ours"], headers={"if-match": f'"{version}"'})
    assert (gone.status_code, gone.json()["version"]) == (200, version + 1)
    assert [price["source"] for price in gone.json()["data"]] == ["none"]
    assert "ours" not in {price["model"] for price in (await prices(spent.system))["data"]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prices": []},
        {"prices": [OURS], "extra": 1},
        {"prices": [{**OURS, "extra": 1}]},
        {"prices": [{**OURS, "input_per_million": -0.000001}]},
        {"prices": [{**OURS, "input_per_million": "NaN"}]},
        {"prices": [{**OURS, "input_per_million": "Infinity"}]},
        {"prices": [{**OURS, "input_per_million": "1e400"}]},
        {"prices": [{**OURS, "input_per_million": 10**40}]},
        {"prices": [{**OURS, "input_per_million": "0.0000001"}]},
        {"prices": [{**OURS, "input_per_million": 1_000_001}]},
        {"prices": [{**OURS, "input_per_million": True}]},
        {"prices": [{**OURS, "input_per_million": None}]},
        {"prices": [{**OURS, "model": ""}]},
        {"prices": [{**OURS, "model": "a\x00b"}]},
        {"prices": [{**OURS, "model": "m" * 201}]},
        {"prices": [OURS, OURS]},
        {"prices": [OURS], "withdraw": ["ours"]},
        {"prices": [{**OURS, "model": f"m{number}"} for number in range(101)]},
        {"withdraw": ["a\x00b"]},
    ],
)
async def test_a_price_that_cannot_be_is_refused_and_nothing_changes(spent: Spent, body: dict[str, Any]) -> None:
    before = await prices(spent.system)
    response = await put(spent.system, **body)
    assert response.status_code == 422, response.text
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"
    assert await prices(spent.system) == before


async def test_a_lone_surrogate_in_a_models_name_is_refused(spent: Spent) -> None:
    body = b'{"withdraw": ["\\ud800"]}'
    response = await spent.system.http.put(
        PRICES, content=body, headers={**OPERATOR, "content-type": "application/json"}
    )
    assert response.status_code in {400, 422}, response.text


async def test_the_price_of_the_calls_own_model_is_the_actual_cost_to_the_last_digit(spent: Spent) -> None:
    system = spent.system
    today = datetime.now(UTC).date()
    tariff = system.parts.prices.tariff("scripted", datetime.now(UTC))
    assert tariff is not None
    found = PostgresWhatIf(system.parts.database).reprice("default", today, today, tariff, "session")
    assert found.groups is not None
    for groups in ([found.total], found.by_agent, found.by_model, found.daily, found.groups):
        assert [group.repriced for group in groups] == [group.usage.cost for group in groups]
        assert sum(group.usage.requests for group in groups) == 6
    shown = await what_if(system, "scripted")
    assert shown["current_period"]["actual_cost"] == shown["current_period"]["repriced_cost"] > 0
    assert shown["current_period"]["difference"] == 0
    assert shown["price"]["source"] == "file"
    assert shown["groups"] is None


async def test_another_price_is_applied_to_each_call_and_the_usage_is_as_it_was(spent: Spent) -> None:
    system = spent.system
    usage = (await system.http.get(USAGE)).json()
    calls = await system.calls()
    shown = await what_if(system, "gpt-4o", group_by="key")
    paid = [call for call in calls if call["state"] in {"settled", "cut"}]
    exact = sum((Decimal("2.5") * call["prompt_tokens"] + 10 * call["completion_tokens"]) / 1_000_000 for call in paid)
    period = shown["current_period"]
    assert Decimal(str(period["repriced_cost"])) == exact.quantize(MICRO)
    assert period["actual_cost"] == usage["current_period"]["total_cost"]
    assert (period["requests"], period["kept"], period["unpriced"], period["unknown"]) == (6, 0, 0, 1)
    assert period["open_cost"] == usage["current_period"]["open_cost"] > 0
    for key, name in (("by_agent", "agent_id"), ("by_model", "model"), ("daily", "date")):
        assert [group[name] for group in shown[key]] == [group[name] for group in usage[key]]
        assert [group["actual_cost"] for group in shown[key]] == [group["cost"] for group in usage[key]]
        total = sum(Decimal(str(group["repriced_cost"])) for group in shown[key])
        assert abs(total - exact) <= MICRO * len(shown[key])
    assert [group["name"] for group in shown["groups"]] == ["anonymous", "key_admin"]
    assert (await system.http.get(USAGE)).json() == usage
    assert await system.calls() == calls


async def test_a_moment_picks_the_price_of_then(spent: Spent) -> None:
    before, after = [
        (await what_if(spent.system, "o3", at=f"2025-{month}-01T00:00:00Z"))["price"] for month in ("05", "07")
    ]
    assert (before["input_per_million"], after["input_per_million"]) == (10, 2)
    assert (before["valid_from"], after["valid_from"]) == (None, "2025-06-10T00:00:00Z")


async def test_what_if_is_a_table_too(spent: Spent) -> None:
    response = await spent.system.http.get(WHAT_IF, params={"model": "gpt-4o", "format": "csv", "group_by": "model"})
    assert response.headers["content-type"].startswith("text/csv")
    head, row = response.text.splitlines()
    assert head.lstrip("\ufeff").startswith("name,actual_cost,repriced_cost,difference,tokens,requests")
    assert row.startswith("scripted,")


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"model": "nobodys"},
        {"model": ""},
        {"model": "a\x00b"},
        {"model": "gpt-4o", "at": "yesterday"},
        {"model": "gpt-4o", "at": "2026-01-01T00:00:00"},
        {"model": "gpt-4o", "period": "year"},
        {"model": "gpt-4o", "group_by": "colour"},
    ],
)
async def test_a_what_if_that_cannot_be_is_refused(spent: Spent, asked: dict[str, str]) -> None:
    response = await spent.system.http.get(WHAT_IF, params=asked)
    assert response.status_code == 422, response.text
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"


async def test_without_a_call_everything_is_zero(spent: Spent) -> None:
    shown = await what_if(spent.system, "gpt-4o", period="2024-02", group_by="workflow")
    assert (shown["current_period"]["repriced_cost"], shown["current_period"]["requests"]) == (0, 0)
    assert (shown["by_agent"], shown["by_model"], shown["daily"], shown["groups"]) == ([], [], [], [])


@pytest.mark.asyncio(loop_scope="function")
async def test_a_worker_books_the_next_call_at_the_new_price(system: System) -> None:
    await system.say("Before.")
    scripted = {"model": "scripted", "input_per_million": 3, "output_per_million": "5.5"}
    version = (await system.http.put(PRICES, json={"prices": [scripted]})).json()["version"]
    await asyncio.sleep(NOTICE.total_seconds())
    said = (await system.say("After.")).json()
    after, before = await system.calls()
    assert (before["price_version"], before["cost"]) == ("none", 0)
    assert (after["price_version"], after["price_known"]) == (f"operator:{version}", True)
    exact = (3 * after["prompt_tokens"] + Decimal("5.5") * after["completion_tokens"]) / 1_000_000
    assert Decimal(str(after["cost"])) == exact.quantize(MICRO) == Decimal(str(said["usage"]["cost"]))
    period = (await what_if(system, "scripted"))["current_period"]
    assert (period["requests"], period["unpriced"]) == (2, 1)
    assert period["difference"] > 0
