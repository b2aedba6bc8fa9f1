"""Limits on cost hold whatever is killed, and a run that asked a person goes on after a restart of everything."""

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import httpx
import psycopg
import pytest

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.ledger import Ledger
from domain.registry import event_registry
from tests.chaos.books import assert_books_agree, name
from tests.chaos.conftest import Say
from tests.chaos.fleet import fleet
from tests.chaos.swarms import APPROVALS, MEMBERS, OVER, asked, begun, is_now
from tests.chaos.whole import AGENT, BOOKS, CHAT, Whole, eventually, kill_everything, whole, within
from tests.costs.test_limits import highest
from tests.scripted_model import start_scripted_model

pytestmark = pytest.mark.prove

CHATS = 1_000
PASSING = 100
TOKENS = 50
PRICES = {"scripted": {"input_per_million": "0", "output_per_million": "2"}}
WORST = Decimal(2 * TOKENS) / 1_000_000
PATIENCE_S = 400.0


@pytest.fixture(autouse=True)
def _priced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers as large as reserved, at a price of their tokens only; for each worker."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(PRICES))
    monkeypatch.setenv("CONVERGIO_PRICES", str(path))
    monkeypatch.setenv("CONVERGIO_MAX_ANSWER_TOKENS", str(TOKENS))
    # an attempt whose repeat no limit covers any more stays open until its deadline
    monkeypatch.setenv("CONVERGIO_MODEL_LONGEST_S", "60")


async def limit(system: Whole, scope: str, usd: Decimal, on_breach: str = "fail") -> None:
    body = {"scope": scope, "window": "month", "limit_usd": str(usd), "on_breach": on_breach}
    answer = await system.http.put(f"{BOOKS}/limits", json={"limits": [body]})
    assert answer.status_code == httpx.codes.OK, answer.text


async def crowd(system: Whole) -> None:
    """A message in each of the sessions `limited-1` and on, all at the same moment."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=system.http.base_url, limits=limits, timeout=PATIENCE_S) as http:
        many = Whole(system.up, system.model, http)
        bodies = (
            {"agent_id": AGENT, "message": "Go.", "wait": False, "context": {"session_id": f"limited-{number}"}}
            for number in range(CHATS)
        )
        answers = await asyncio.gather(*(asked(many, CHAT, body, f"go-{number}") for number, body in enumerate(bodies)))
    assert {answer.status_code for answer in answers} == {httpx.codes.ACCEPTED}


def ends(system: Whole) -> Counter[tuple[str, str | None]]:
    """How the turns ended, as (status, code)."""
    with psycopg.connect(system.environment["DATABASE_URL"], autocommit=True) as connection:
        return Counter(connection.execute("SELECT status, code FROM chat_turns").fetchall())


def highest_sum(system: Whole, scope: str) -> Decimal:
    database = Database(system.environment["DATABASE_URL"], size=2)
    database.open()
    try:
        return highest(Ledger(LedgerRecorder(database), event_registry()), scope)
    finally:
        database.close()


async def test_a_thousand_chats_on_three_workers_never_pass_a_limit_that_lets_a_hundred_through(
    tmp_path: Path, measured: Say
) -> None:
    async with AsyncExitStack() as stack:
        model = stack.enter_context(start_scripted_model(bill=tmp_path / "bill.jsonl"))
        system = await stack.enter_async_context(whole(tmp_path, model))
        await stack.enter_async_context(fleet(system, 2))
        model.script(default={"delay_s": 2.0, "tokens": TOKENS})
        await limit(system, "global", WORST * PASSING)
        saying = asyncio.create_task(crowd(system))
        await model.until(lambda bill: len(bill) >= PASSING // 4, seconds=120)
        system.up.kill("worker")  # its supervisor starts it again
        await saying

        async def all_ended() -> bool:
            return sum(ends(system).values()) == CHATS and {status for status, _ in ends(system)} <= {
                "completed",
                "failed",
            }

        await within(PATIENCE_S, eventually(all_ended, PATIENCE_S))
        calls, bill = await system.ended_calls(), model.bill()
        states = Counter(call["state"] for call in calls)
        agreed = assert_books_agree(calls, bill)
        assert states["settled"] + states["unknown"] == len(calls) == PASSING, states
        assert states["unknown"], "the worker was killed amid its calls"
        assert ends(system) == {
            ("completed", None): states["settled"],
            ("failed", "BUDGET_EXCEEDED"): CHATS - states["settled"],
        }
        assert await asyncio.to_thread(highest_sum, system, "global") == WORST * PASSING
        settled = {name(call) for call in calls if call["state"] == "settled"}
        billed = sum(entry["completion_tokens"] for entry in bill if entry["request_id"] in settled)
        booked = sum((Decimal(str(call["cost"])) for call in calls), Decimal(0))
        assert booked == Decimal(2 * billed) / 1_000_000
        [shown] = [each for each in (await system.ask(f"{BOOKS}/limits"))["data"] if each["scope"] == "global"]
        assert (shown["remaining"], shown["reserved"], shown["state"]) == (0, 0, "reached")
        assert Decimal(str(shown["spent"])) == booked
        assert "no" not in (await system.command("rebuild", "limits", "--check")).split()
    measured(f"{CHATS} chats, 3 workers, one killed: {dict(states)}; calls as (ledger, bill): {dict(agreed)}")


async def test_a_swarm_that_asked_to_spend_more_goes_on_after_everything_was_started_anew(
    tmp_path: Path, measured: Say
) -> None:
    async with AsyncExitStack() as stack:
        model = stack.enter_context(start_scripted_model(bill=tmp_path / "bill.jsonl"))
        first = await stack.enter_async_context(whole(tmp_path, model))
        await limit(first, f"agent:{MEMBERS[1]}", Decimal(0), "ask")
        task_id = await begun(first, "held", coordination_mode="sequential")
        held = await is_now(first, task_id, "awaiting_approval")
        victims, calls = await kill_everything(first), len(model.bill())
        second = await stack.enter_async_context(whole(tmp_path, model))
        assert (await is_now(second, task_id, "awaiting_approval"))["approval_id"] == held["approval_id"]
        decision = await asked(
            second, f"{APPROVALS}/{held['approval_id']}/approve", {"edited_content": "0.10"}, "let-it-go"
        )
        assert decision.status_code == httpx.codes.OK, decision.text
        done = await is_now(second, task_id, *OVER)
        assert done["status"] == "completed", done
        assert calls < len(model.bill())
        agreed = assert_books_agree(await second.ended_calls(), model.bill())
        [shown] = (await second.ask(f"{BOOKS}/limits"))["data"]
        assert (shown["granted"], shown["remaining"]) == (0.1, 0)
        assert 0 < shown["spent"] <= 0.1
        assert "no" not in (await second.command("rebuild", "limits", "--check")).split()
    measured(f"{victims} processes killed while a swarm waited for money: it ended inside it; {dict(agreed)}")
