"""Anything is killed at any moment, under load, for a minute."""

import asyncio
import random
import signal
import time
from collections import Counter

import pytest

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.talks import SESSIONS, assert_each_message_has_one_answered_turn, talking
from tests.chaos.whole import Whole

pytestmark = pytest.mark.prove

KILLING_S = 60
PARTS = ("worker", "api", "projections", "temporal", "postgres", "valkey")


async def test_nothing_is_lost_or_paid_twice_while_anything_is_killed(system: Whole, measured: Say) -> None:
    seed = time.time_ns()
    measured(f"random kills with seed {seed}")
    async with talking(system) as talks:
        killed = await kill_at_random(system, random.Random(seed))  # noqa: S311  (chance, not secrecy)
    await assert_each_message_has_one_answered_turn(system, talks)
    agreed = assert_books_agree(await system.ended_calls(), system.model.bill())
    await system.command("rebuild", "--check")
    measured(
        f"{sum(killed.values())} kills in {KILLING_S} s ({', '.join(f'{n} {part}' for part, n in killed.items())}):"
        f" {sum(len(each.said) for each in talks)} messages in {SESSIONS} sessions, each answered once\n"
        f"calls as (ledger, bill): {dict(agreed)}; every view equal to its rebuild"
    )


async def kill_at_random(system: Whole, chance: random.Random) -> Counter[str]:
    killed: Counter[str] = Counter()
    end = time.monotonic() + KILLING_S
    while time.monotonic() < end:
        await asyncio.sleep(chance.uniform(2, 3))
        part = chance.choice(PARTS)
        mark = system.up.run().children[part]
        killed[part] += mark.is_alive()
        mark.kill(signal.SIGKILL)
    return killed
