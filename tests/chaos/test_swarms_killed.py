"""Swarms go on whatever dies: no member's turn is lost, none that was settled is paid for twice."""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.swarms import APPROVALS, MODES, OVER, asked, begun, is_now
from tests.chaos.test_random_kills import kill_at_random
from tests.chaos.whole import Whole, kill_everything, whole
from tests.scripted_model import start_scripted_model

pytestmark = pytest.mark.prove

AT_ONCE = 20
SLOW = {"delay_s": 1.0}
"""So that every swarm meets several deaths."""


async def test_swarms_end_right_while_anything_is_killed(system: Whole, measured: Say) -> None:
    seed = time.time_ns()
    measured(f"random kills with seed {seed}")
    system.model.script(default=SLOW)
    over = asyncio.Event()
    going = [asyncio.create_task(_one_after_the_other(system, number, over)) for number in range(AT_ONCE)]
    killed = await kill_at_random(system, random.Random(seed))  # noqa: S311  (chance, not secrecy)
    over.set()
    ended = [task_id for tasks in await asyncio.gather(*going) for task_id in tasks]
    agreed = assert_books_agree(await system.ended_calls(), system.model.bill())
    await system.command("rebuild", "--check")
    measured(
        f"{sum(killed.values())} kills in a minute ({', '.join(f'{n} {part}' for part, n in killed.items())}):"
        f" {len(ended)} swarms of all {len(MODES)} modes, {AT_ONCE} at a time, each completed with all its turns\n"
        f"calls as (ledger, bill): {dict(agreed)}; every view equal to its rebuild"
    )


async def _one_after_the_other(system: Whole, number: int, over: asyncio.Event) -> list[str]:
    """Swarms until it is over; each has to be completed."""
    ended: list[str] = []
    while not ended or not over.is_set():
        mode = MODES[(number + len(ended)) % len(MODES)]
        task_id = await begun(system, f"{number}-{len(ended)}", coordination_mode=mode)
        found = await is_now(system, task_id, *OVER)
        assert (found["status"], found["partial"]) == ("completed", False), found
        assert found["result"], found
        assert all(agent["status"] == "completed" for agent in found["agents"] if agent["turns"]), found
        ended.append(task_id)
    return ended


async def test_a_held_swarm_goes_on_after_everything_was_started_anew(tmp_path: Path, measured: Say) -> None:
    async with AsyncExitStack() as stack:
        model = stack.enter_context(start_scripted_model(bill=tmp_path / "bill.jsonl"))
        first = await stack.enter_async_context(whole(tmp_path, model))
        task_id = await begun(first, "held", coordination_mode="parallel", require_approval=True)
        held = await is_now(first, task_id, "awaiting_approval")
        victims, calls = await kill_everything(first), len(model.bill())
        second = await stack.enter_async_context(whole(tmp_path, model))
        assert (await is_now(second, task_id, "awaiting_approval"))["approval_id"] == held["approval_id"]
        decision = await asked(
            second, f"{APPROVALS}/{held['approval_id']}/approve", {"edited_content": "As I see it."}, "let-it-go"
        )
        assert decision.status_code == httpx.codes.OK, decision.text
        started = time.monotonic()
        done = await is_now(second, task_id, *OVER)
        took = time.monotonic() - started
        assert (done["status"], done["result"]) == ("completed", "As I see it."), done
        assert len(model.bill()) == calls, "the restart or the decision has paid for something again"
        agreed = assert_books_agree(await second.ended_calls(), model.bill())
    measured(
        f"{victims} processes killed while a swarm was held: let go, it is over after {took:.1f} s; {dict(agreed)}"
    )
