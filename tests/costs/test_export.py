"""The cost ledger as a file: every attempt, and sums that equal those of the API to the last digit."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice

import pytest

from api.costs.call_documents import COLUMNS, FOCUS_COLUMNS, to_csv, to_focus, to_json_lines
from domain.costs.projection import CallRow
from tests.costs.recorded_calls import RecordedCall, made, record
from tests.scripted_model import ScriptedModel
from tests.system import OF_ACME, OF_ZETA, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPORT = "/api/v1/cost-management/export"
PERIOD = {"from": "2026-03-01", "to": "2026-03-31"}
MANDATORY = {
    "BilledCost": "decimal",
    "BillingAccountId": "text",
    "BillingAccountName": "text",
    "BillingCurrency": "text",
    "BillingPeriodEnd": "moment",
    "BillingPeriodStart": "moment",
    "ChargeCategory": "text",
    "ChargeClass": "empty",
    "ChargeDescription": "text",
    "ChargePeriodEnd": "moment",
    "ChargePeriodStart": "moment",
    "ContractedCost": "decimal",
    "EffectiveCost": "decimal",
    "InvoiceIssuerName": "text",
    "ListCost": "decimal",
    "PricingQuantity": "decimal",
    "PricingUnit": "text",
    "ServiceCategory": "text",
    "ServiceName": "text",
    "ServiceProviderName": "text",
}
"""The columns of FOCUS 1.3 that every row has, with the kind of their values."""


async def exported(system: System, as_format: str, headers: dict[str, str] = OF_ACME) -> str:
    answer = await system.http.get(EXPORT, params={"format": as_format, **PERIOD}, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


async def recorded(system: System) -> list[RecordedCall]:
    calls = list(made("exported", 4_100, datetime(2026, 3, 1, tzinfo=UTC), timedelta(minutes=10)))
    record(system.parts.ledger, calls, "acme")
    await until(
        lambda: system.http.get(EXPORT, params={"to": "2026-01-01"}, headers=OF_ACME),
        lambda answer: "x-convergio-stale" not in answer.headers,
        seconds=60,
    )
    return calls


async def test_an_export_has_every_attempt_and_the_exact_sums(shared: System, scripted_model: ScriptedModel) -> None:
    calls = await recorded(shared)
    charged = [call for call in calls if call.state in {"settled", "cut"}]
    exact = sum(call.cost for call in charged)
    usage = await shared.http.get("/api/v1/cost-management/usage", params=PERIOD, headers=OF_ACME)
    total = usage.json()["current_period"]["total_cost"]
    assert Decimal(str(total)) == exact.quantize(Decimal("0.000001"))

    rows = list(csv.DictReader(io.StringIO(await exported(shared, "csv"))))
    assert [row["call_id"] for row in rows] == [call.call_id for call in calls]
    assert sum(Decimal(row["cost"]) for row in rows) == exact
    assert {row["agent_id"] for row in rows} == {"'=ada()"}

    lines = [json.loads(line) for line in (await exported(shared, "jsonl")).splitlines()]
    assert [(line["call_id"], line["state"]) for line in lines] == [(call.call_id, call.state) for call in calls]
    assert sum(Decimal(line["cost"]) for line in lines) == exact
    listed = await shared.http.get(
        "/api/v1/cost-management/ledger", params={"call_id": calls[0].call_id, "format": "csv"}, headers=OF_ACME
    )
    assert listed.text.splitlines()[0] == ",".join(COLUMNS)

    focus = list(csv.DictReader(io.StringIO(await exported(shared, "focus"))))
    assert len(focus) == len(charged)
    assert sum(Decimal(row["BilledCost"]) for row in focus) == exact
    assert await exported(shared, "csv", OF_ZETA) == f"{','.join(COLUMNS)}\r\n"


async def test_an_export_for_focus_has_the_mandatory_columns(shared: System, scripted_model: ScriptedModel) -> None:
    rows = list(csv.DictReader(io.StringIO(await exported(shared, "focus"))))
    assert rows
    assert set(MANDATORY) <= set(rows[0])
    assert tuple(rows[0]) == FOCUS_COLUMNS
    for row in rows:
        for column, kind in MANDATORY.items():
            match kind:
                case "decimal":
                    assert Decimal(row[column]) >= 0
                case "moment":
                    assert datetime.strptime(row[column], "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007  (Z is UTC)
                case "empty":
                    assert row[column] == ""
                case _:
                    assert row[column]
        assert row["BillingPeriodStart"] <= row["ChargePeriodStart"] < row["ChargePeriodEnd"]
        assert row["BillingCurrency"] == "USD"
        assert json.loads(row["Tags"])["call_id"]


@pytest.mark.parametrize(
    "asked", [{"format": "pdf"}, {"from": "2026-02-30"}, {"from": "2026-02-02", "to": "2026-02-01"}]
)
async def test_an_export_that_cannot_be_is_refused(
    shared: System, scripted_model: ScriptedModel, asked: dict[str, str]
) -> None:
    answer = await shared.http.get(EXPORT, params=asked, headers=OF_ACME)
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "VALIDATION_ERROR"


def endless() -> Iterator[list[CallRow]]:
    """Batches without an end, of calls that were never recorded."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    while True:
        yield [
            CallRow(
                "call", 1, "acme", "settled", "chat", None, "=model()", 1, 1, 2, False, Decimal("1e-15"), Decimal(1),
                "list", True, "ada", "acme~mine", "chat-1", "key_1", None, None, at, at, None,
            )
        ]  # fmt: skip


async def test_lines_are_written_while_the_ledger_is_read() -> None:
    rows = list(islice(to_csv(endless()), 3))
    assert rows[1] == rows[2]
    assert "'=model()" in rows[1]
    assert "0.000000000000001" in rows[1]
    [line] = islice(to_json_lines(endless()), 1)
    assert json.loads(line)["session_id"] == "mine"
    assert len(list(islice(to_focus(endless(), "openai"), 3))) == 3
