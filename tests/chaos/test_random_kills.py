"""Anything is killed at any moment, under load, for a minute."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.whole import Whole, eventually, within
from tests.servers import ROOT

pytestmark = pytest.mark.prove

KILLING_S, SESSIONS = 60, 8
PARTS = ("worker", "api", "projections", "temporal", "postgres", "valkey")
PATIENCE_S = 180.0


@dataclass
class Talk:
    """One session and what was said in it, in order."""

    session: str
    said: list[str] = field(default_factory=list)


async def test_nothing_is_lost_or_paid_twice_while_anything_is_killed(system: Whole, measured: Say) -> None:
    seed = time.time_ns()
    measured(f"random kills with seed {seed}")
    system.model.script(default={"delay_s": 0.3})
    talks, over = [Talk(f"talk-{number}") for number in range(SESSIONS)], asyncio.Event()
    talking = [asyncio.create_task(talk(system, each, over)) for each in talks]
    killed = await kill_at_random(system, random.Random(seed))  # noqa: S311  (chance, not secrecy)
    over.set()
    await within(PATIENCE_S, asyncio.gather(*talking))
    for each in talks:
        await assert_each_message_has_one_answered_turn(system, each)
    await eventually(lambda: nothing_open(system), PATIENCE_S)
    agreed = assert_books_agree(await system.calls(), system.model.bill())
    rebuilt = await asyncio.to_thread(rebuild_check, system)
    assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
    measured(
        f"{sum(killed.values())} kills in {KILLING_S} s ({', '.join(f'{n} {part}' for part, n in killed.items())}):"
        f" {sum(len(each.said) for each in talks)} messages in {SESSIONS} sessions, each answered once\n"
        f"calls as (ledger, bill): {dict(agreed)}; every view equal to its rebuild"
    )


async def talk(system: Whole, talk: Talk, over: asyncio.Event) -> None:
    """Say one thing after the other, each under a key of its own, until it is answered."""
    while not over.is_set():
        message = f"Message {len(talk.said) + 1} of {talk.session}."
        talk.said.append(message)
        response = await system.say_until_answered(message, talk.session, key=f"{talk.session}-{len(talk.said)}")
        assert response.status_code in {httpx.codes.OK, httpx.codes.ACCEPTED}, response.text


async def kill_at_random(system: Whole, chance: random.Random) -> Counter[str]:
    killed: Counter[str] = Counter()
    end = time.monotonic() + KILLING_S
    while time.monotonic() < end:
        await asyncio.sleep(chance.uniform(2, 3))
        part = chance.choice(PARTS)
        mark = system.up.run().children[part]
        killed[part] += mark.alive()
        mark.kill(signal.SIGKILL)
    return killed


async def assert_each_message_has_one_answered_turn(system: Whole, talk: Talk) -> None:
    turns = await system.turns(talk.session)
    assert [turn["message"] for turn in turns] == talk.said
    assert [turn["turn"] for turn in turns] == list(range(1, len(talk.said) + 1))
    assert all(turn["status"] == "completed" and turn["response"] for turn in turns)


async def nothing_open(system: Whole) -> bool:
    """Whether no reservation is open any more: what nobody speaks for is given up after its deadline."""
    return not await system.calls(state="reserved")


def rebuild_check(system: Whole) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runtime.cli", "rebuild", "--check"]
    environment = {**system.environment, "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
