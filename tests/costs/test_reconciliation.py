"""An invoice against the ledger: each wrong line is found and named, nothing else, and nothing changes silently."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from adapters.postgres.projections.rebuild import Rebuild
from domain.costs.projection import CostsProjection
from domain.costs.reconciliation.findings import NO_DIFFERENCE
from tests.costs.recorded_calls import RecordedCall, made, record
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, OF_ACME, OF_ZETA, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

API = "/api/v1/cost-management"
PATH = f"{API}/reconciliations"
COLUMNS = ("call_id", "provider_call_id", "at", "model", "prompt_tokens", "completion_tokens", "cost")
Fields = dict[str, Any]


def line_of(call: RecordedCall) -> Fields:
    """The line of a call: by our id where the provider's is not known, and for every third one."""
    ours = call.state == "unknown" or call.n % 3 == 0
    return {
        "call_id": call.reference if ours else "",
        "provider_call_id": "" if ours else call.provider_call_id,
        "at": call.at.isoformat(),
        "model": f"{call.model}-2024-08-06",
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "cost": f"{call.cost:f}",
    }


def table(lines: Sequence[Fields]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


async def recorded(system: System, prefix: str, count: int, first: datetime, apart: timedelta) -> list[RecordedCall]:
    calls = list(made(prefix, count, first, apart))
    record(system.parts.ledger, calls, "acme")
    await caught_up(system)
    return calls


async def caught_up(system: System) -> None:
    await until(
        lambda: system.http.get(f"{API}/usage", headers=OF_ACME),
        lambda answer: "x-convergio-stale" not in answer.headers,
        seconds=120,
    )


async def imported(system: System, text: str, first: str, last: str, **more: Any) -> dict[str, Any]:
    headers = {**OF_ACME, "content-type": "text/csv", **more.pop("headers", {})}
    terms = {"provider": "openai", "from": first, "to": last, **more}
    answer = await system.http.post(f"{PATH}/import", content=text.encode(), params=terms, headers=headers)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def posted(system: System, body: Fields, status: int = 201) -> dict[str, Any]:
    answer = await system.http.post(PATH, json={"provider": "openai", **body}, headers=OF_ACME)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def findings(system: System, reconciliation: dict[str, Any]) -> list[dict[str, str]]:
    answer = await system.http.get(f"{PATH}/{reconciliation['id']}", params={"format": "csv"}, headers=OF_ACME)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def usage(system: System, month: str) -> dict[str, Any]:
    answer = await system.http.get(f"{API}/usage", params={"period": month}, headers=OF_ACME)
    return dict(answer.json()["current_period"])


def make_wrong(lines: list[Fields], wrong: range) -> dict[str, list[str]]:
    """Make 50 of the lines wrong in eight ways, and return the calls that each way is to be found at."""
    expected: dict[str, list[str]] = {}
    removed, added = [], []
    for n, index in enumerate(wrong):
        fields = lines[index]
        call = fields["call_id"] or fields["provider_call_id"]
        match n % 8:
            case 0:
                outcome, fields["cost"] = "cost_differs", str(Decimal(fields["cost"]) + Decimal("0.00001"))
            case 1:
                outcome, fields["prompt_tokens"] = "tokens_differ", fields["prompt_tokens"] + 1
            case 2:
                outcome = "duplicate"
                added.append(dict(fields))
            case 3:
                outcome, fields["model"] = "unknown_model", "=claude(1)"
            case 4:
                outcome, fields["at"] = "outside_period", "2025-12-31T23:59:59Z"
            case 5:
                outcome, fields["cost"] = "unreadable", "1,5 EUR"
            case 6:
                outcome = "ledger_only"
                removed.append(fields)
            case _:
                outcome, call = "provider_only", f"chatcmpl-nobodys-{n}"
                added.append({**fields, "call_id": "", "provider_call_id": call})
        expected.setdefault(outcome, []).append(call)
    for fields in removed:
        lines.remove(fields)
    lines += added
    return expected


async def test_each_of_fifty_wrong_lines_among_ten_thousand_is_named_and_nothing_else(
    shared: System, scripted_model: ScriptedModel
) -> None:
    calls = await recorded(shared, "large", 11_100, datetime(2026, 1, 1, 1, tzinfo=UTC), timedelta(seconds=200))
    lines = [line_of(call) for call in calls if call.state != "failed"]
    sound = [
        index for index, call in enumerate(c for c in calls if c.state != "failed") if call.state in {"settled", "cut"}
    ]
    expected = make_wrong_at(lines, sound[100::150][:50])
    assert len(lines) >= 9_990
    assert sum(map(len, expected.values())) == 50

    before = await usage(shared, "2026-01")
    found = await imported(shared, table(lines), "2026-01-01", "2026-01-31")
    differences = [each for each in await findings(shared, found) if each["outcome"] not in NO_DIFFERENCE]
    named: dict[str, list[str]] = {}
    for each in differences:
        references = {f"{each['call_id']}.{each['attempt']}", each["provider_call_id"]}
        assert each["line"] or each["outcome"] == "ledger_only"
        wanted = [name for name in expected[each["outcome"]] if name in references]
        named.setdefault(each["outcome"], []).extend(wanted)
    assert {outcome: sorted(names) for outcome, names in named.items()} == {
        outcome: sorted(names) for outcome, names in expected.items()
    }
    assert len(differences) == found["differences"] == 50
    unknown = [call for call in calls if call.state == "unknown"]
    assert found["counts"]["unknown_charged"] == len(unknown)
    assert await usage(shared, "2026-01") == before
    assert sum(found["counts"].values()) == len(lines) + len(expected["ledger_only"])


def make_wrong_at(lines: list[Fields], places: Sequence[int]) -> dict[str, list[str]]:
    """Make the lines at these places wrong, in eight ways by turns."""
    chosen = [lines[place] for place in places]
    rest = [fields for n, fields in enumerate(lines) if n not in set(places)]
    expected = make_wrong(chosen, range(len(chosen)))
    lines[:] = rest + chosen
    return expected


async def test_unknown_attempts_are_settled_once_and_a_rebuild_agrees(
    shared: System, scripted_model: ScriptedModel
) -> None:
    calls = await recorded(shared, "applied", 300, datetime(2026, 4, 1, 1, tzinfo=UTC), timedelta(minutes=20))
    unknown = [call for call in calls if call.state == "unknown"]
    free = {call.call_id for call in unknown[::3]}
    billed = [
        replace(call, cost=Decimal(0), prompt_tokens=0, completion_tokens=0) if call.call_id in free else call
        for call in calls
    ]
    text = table([line_of(call) for call in billed if call.state != "failed"])
    found = await imported(shared, text, "2026-04-01", "2026-04-30")
    assert (found["differences"], found["applied"]) == (0, None)
    before = await usage(shared, "2026-04")
    assert before["unknown"] == len(unknown)

    for _ in range(2):
        answer = await shared.http.post(f"{PATH}/{found['id']}/apply", headers=OF_ACME)
        assert answer.status_code == 200, answer.text
        applied = answer.json()["applied"]
        assert (applied["settled"], applied["failed"], applied["unchanged"]) == (
            len(unknown) - len(free),
            len(free),
            0,
        )
        await caught_up(shared)
        after = await usage(shared, "2026-04")
        exact = sum(call.cost for call in billed if call.state != "failed")
        assert Decimal(str(after["total_cost"])) == exact.quantize(Decimal("0.000001"))
        assert (after["unknown"], after["open_cost"]) == (0, 0)
        assert after["failed"] == before["failed"] + len(free)
    rebuilt = Rebuild(shared.parts.database.dsn, shared.parts.registry, CostsProjection()).run()
    assert all(comparison.equal for comparison in rebuilt.comparisons)
    again = await imported(shared, text, "2026-04-01", "2026-04-30", apply="true")
    assert again["counts"] == {"matched": len(calls) - sum(call.state == "failed" for call in calls)}
    assert again["applied"]["settled"] == 0


async def test_a_repeat_with_the_same_key_is_one_reconciliation(shared: System, scripted_model: ScriptedModel) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    text = table([line_of(call) for call in made("nobodys", 3, datetime(2026, 5, 1, tzinfo=UTC), timedelta(1))])
    first, second = [
        await imported(shared, text, "2026-05-01", "2026-05-31", headers=headers, provider="repeated") for _ in range(2)
    ]
    assert first == second
    listed = (await shared.http.get(PATH, headers=OF_ACME)).json()
    assert [each["id"] for each in listed["data"]].count(first["id"]) == 1
    assert listed["total"] == len(listed["data"])
    for path in (f"{PATH}/{first['id']}", f"{PATH}/reconciliation_nobodys"):
        assert (await shared.http.get(path, headers=OF_ZETA)).status_code == 404
    for action in ("apply", "lock"):
        answer = await shared.http.post(f"{PATH}/{first['id']}/{action}", headers=OF_ZETA)
        assert answer.status_code == 404


async def test_a_locked_period_is_reconciled_no_more(shared: System, scripted_model: ScriptedModel) -> None:
    line = {"call_id": "nobodys.1", "cost": 1}
    body = {"provider": "locked", "from": "2026-06-01", "to": "2026-06-30", "lines": [line]}
    found = await posted(shared, body)
    assert found["counts"] == {"provider_only": 1}
    for _ in range(2):
        locked = await shared.http.post(f"{PATH}/{found['id']}/lock", headers=OF_ACME)
        assert (locked.status_code, locked.json()["locked"]) == (200, True)
    refused = await posted(shared, {**body, "from": "2026-06-30", "to": "2026-07-31"}, 409)
    assert refused["error"]["details"]["reconciliation_id"] == found["id"]
    assert (await shared.http.post(f"{PATH}/{found['id']}/apply", headers=OF_ACME)).status_code == 409
    await posted(shared, {**body, "from": "2026-07-01", "to": "2026-07-31"})
    await posted(shared, {**body, "provider": "another"})


async def test_exports_of_openai_are_compared_by_their_sums(shared: System, scripted_model: ScriptedModel) -> None:
    first = datetime(2026, 8, 1, tzinfo=UTC)
    calls = await recorded(shared, "sums", 288, first, timedelta(minutes=10))
    charged = [call for call in calls if call.state in {"settled", "cut"}]

    def buckets(make: Any) -> list[Fields]:
        days = [first + timedelta(days=n) for n in range(2)]
        return [
            {
                "object": "bucket",
                "start_time": int(day.timestamp()),
                "end_time": int((day + timedelta(days=1)).timestamp()),
                "results": [
                    make([c for c in charged if c.at.date() == day.date() and c.model == model], model)
                    for model in ("gpt-4o", "gpt-4o-mini")
                ],
            }
            for day in days
        ]

    def used(some: list[RecordedCall], model: str) -> Fields:
        return {
            "object": "organization.usage.completions.result",
            "input_tokens": sum(call.prompt_tokens for call in some),
            "output_tokens": sum(call.completion_tokens for call in some),
            "num_model_requests": len(some),
            "model": f"{model}-2024-08-06",
        }

    def cost(some: list[RecordedCall], model: str) -> Fields:
        amount = {"value": float(sum(call.cost for call in some)), "currency": "usd"}
        return {"object": "organization.costs.result", "amount": amount, "line_item": f"{model}, input"}

    period = {"from": "2026-08-01", "to": "2026-08-02"}
    found = await posted(shared, {**period, "source": "openai_usage", "data": buckets(used)})
    assert (found["basis"], found["counts"]) == ("sums", {"matched": 4})
    wrong = buckets(cost)
    wrong[1]["results"][0]["amount"]["value"] += 0.01
    wrong[0]["results"][1]["amount"]["currency"] = "eur"
    found = await posted(shared, {**period, "source": "openai_costs", "data": wrong})
    assert found["counts"] == {"cost_differs": 1, "ledger_only": 1, "matched": 2, "unreadable": 1}
    by_line = {each["line"]: each["outcome"] for each in await findings(shared, found)}
    assert by_line == {"1": "matched", "2": "unreadable", "3": "cost_differs", "4": "matched", "": "ledger_only"}


async def test_calls_newer_than_the_delay_are_not_judged(shared: System, scripted_model: ScriptedModel) -> None:
    now = datetime.now(UTC)
    calls = await recorded(shared, "new", 10, now - timedelta(minutes=30), timedelta(seconds=1))
    lines = [{**line_of(call), "cost": "99"} for call in calls if call.state != "failed"]
    period = {"from": str((now - timedelta(1)).date()), "to": str(now.date()), "provider": "late", "lines": lines}
    assert (await posted(shared, period))["counts"] == {"not_judged": 9}
    judged = (await posted(shared, {**period, "delay_s": 0}))["counts"]
    assert judged == {"cost_differs": 8, "unknown_charged": 1}


HOSTILE = [
    {"call_id": "=cmd|' /C calc'!A0.1", "cost": "1"},
    {"call_id": "a.1", "cost": "1e999999999"},
    {"call_id": "b.99999999999999999999", "cost": "1"},
    {"call_id": "c.1", "cost": "NaN"},
    {"call_id": "d.1", "cost": "-1"},
    {"call_id": "e.1", "prompt_tokens": "9" * 400},
    {"call_id": "f.1", "at": "0001-01-01T00:00:00+14:00", "cost": "1"},
    {"call_id": "g" * 5_000 + ".1", "cost": "1"},
    {"cost": "1"},
    {"call_id": "h.1"},
]


async def test_hostile_lines_are_named_and_refuse_nothing(shared: System, scripted_model: ScriptedModel) -> None:
    found = await imported(shared, table(HOSTILE), "2026-09-01", "2026-09-30")
    assert found["counts"] == {"provider_only": 1, "unreadable": 9}
    rows = await findings(shared, found)
    assert Counter(row["line"] for row in rows) == Counter(str(n) for n in range(2, 12))
    assert rows[0]["call_id"] == "'=cmd|' /C calc'!A0"
    odd = [7, None, "text", {"call_id": {"a": 1}}, {"what": 1}, {"call_id": True}, {"call_id": "a.1", "cost": 10**30}]
    found = await posted(shared, {"from": "2026-09-01", "to": "2026-09-30", "lines": odd})
    assert found["counts"] == {"unreadable": 7}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing,known\r\n1,2\r\n",
        "call_id,call_id\r\na.1,b.1\r\n",
        'call_id,cost\r\n"a.1,1\r\n',
        "call_id,cost\r\n",
    ],
)
async def test_a_text_that_is_no_invoice_is_refused(shared: System, scripted_model: ScriptedModel, text: str) -> None:
    terms = {"provider": "openai", "from": "2026-09-01", "to": "2026-09-30"}
    headers = {**OF_ACME, "content-type": "text/csv"}
    answer = await shared.http.post(f"{PATH}/import", content=text.encode(), params=terms, headers=headers)
    assert answer.status_code == 422, answer.text
    wrong = {"tolerance_usd": "NaN"}, {"from": "2026-10-01"}, {"surprise": "1"}, {"delay_s": "-1"}, {"provider": ""}
    for each in wrong:
        sent = table([line_of(call) for call in made("x", 1, datetime(2026, 9, 1, tzinfo=UTC), timedelta(1))])
        params = {**terms, **each}
        answer = await shared.http.post(f"{PATH}/import", content=sent.encode(), params=params, headers=headers)
        assert answer.status_code == 422, (each, answer.text)


async def test_an_operator_compares_the_calls_of_all_tenants(shared: System, scripted_model: ScriptedModel) -> None:
    calls = await recorded(shared, "theirs", 10, datetime(2026, 10, 1, 1, tzinfo=UTC), timedelta(hours=1))
    [unknown] = [call for call in calls if call.state == "unknown"]
    body = {"provider": "openai", "from": "2026-10-01", "to": "2026-10-31", "models": [], "lines": [line_of(unknown)]}
    operator = {"X-API-Key": ADMIN_KEY}
    answer = await shared.http.post(PATH, json=body, headers=operator)
    assert answer.json()["counts"] == {"unknown_model": 1}
    body |= {"all_tenants": True, "models": ["another"], "apply": True}
    answer = await shared.http.post(PATH, json=body, headers=operator)
    assert answer.json()["counts"] == {"unknown_charged": 1}
    assert answer.json()["applied"]["settled"] == 1
    assert (await shared.http.get(f"{PATH}/{answer.json()['id']}", headers=OF_ACME)).status_code == 404
    await caught_up(shared)
    after = await usage(shared, "2026-10")
    charged = sum(call.cost for call in calls if call.state != "failed")
    assert (after["unknown"], Decimal(str(after["total_cost"]))) == (0, charged.quantize(Decimal("0.000001")))


async def test_a_line_may_name_a_call_that_failed_or_had_another_model_or_month(
    shared: System, scripted_model: ScriptedModel
) -> None:
    first = datetime(2026, 11, 1, 1, tzinfo=UTC)
    calls = await recorded(shared, "odd", 10, first, timedelta(seconds=1))
    earlier = await recorded(shared, "odd-earlier", 1, datetime(2026, 10, 31, tzinfo=UTC), timedelta(1))
    [failed] = [call for call in calls if call.state == "failed"]
    lines = [line_of(call) for call in calls]
    lines[0]["model"] = "gpt-4o-mini"
    lines[1] |= {"call_id": calls[1].reference}
    lines.append({"call_id": earlier[0].reference, "cost": f"{earlier[0].cost:f}"})
    lines.append(lines[1] | {"call_id": "", "provider_call_id": calls[1].provider_call_id})
    found = await posted(shared, {"from": "2026-11-01", "to": "2026-11-01", "delay_s": 0, "lines": lines})
    assert found["counts"] == {
        "cost_differs": 1,
        "duplicate": 1,
        "matched": 7,
        "model_differs": 1,
        "outside_period": 1,
        "unknown_charged": 1,
    }
    rows = {row["outcome"]: row for row in await findings(shared, found)}
    assert (rows["cost_differs"]["line"], rows["cost_differs"]["state"]) == (str(failed.n + 1), "failed")
    assert (rows["duplicate"]["line"], rows["outside_period"]["line"]) == ("12", "11")
    page = await shared.http.get(
        f"{PATH}/{found['id']}", params={"outcome": "matched", "skip": 5, "limit": 5}, headers=OF_ACME
    )
    assert page.json()["pagination"] == {"total": 7, "skip": 5, "limit": 5, "has_next": False, "has_prev": True}
    assert len(page.json()["data"]) == 2
