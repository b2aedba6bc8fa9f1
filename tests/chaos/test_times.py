"""From `kill -9` to continued: the table that the README's promise rests on."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.whole import Whole, within

pytestmark = pytest.mark.prove

TIMES = 3
WORKER_AGAIN_S, ELSE_AGAIN_S = 12.0, 30.0
Measure = Callable[[Whole, int], Awaitable[float]]


async def test_time_from_kill_to_continued(system: Whole, measured: Say) -> None:
    table: dict[str, tuple[str, Measure]] = {
        "worker": ("the lost model call is made again", call_made_again),
        "api": ("a message is answered", lambda system, n: message_answered(system, "api", n)),
        "temporal": ("a message is answered", lambda system, n: message_answered(system, "temporal", n)),
        "postgres": ("a message is answered", lambda system, n: message_answered(system, "postgres", n)),
    }
    assert (await system.say("Before.", "steady")).is_success
    lines = [f"{'killed':<10}{'seconds until continued':<28}that is"]
    try:
        for part, (meaning, measure) in table.items():
            took = [await measure(system, number) for number in range(TIMES)]
            lines.append(f"{part:<10}{' '.join(f'{seconds:6.2f}' for seconds in took):<28}{meaning}")
            assert max(took) <= (WORKER_AGAIN_S if part == "worker" else ELSE_AGAIN_S)
    finally:
        measured("\n".join(lines))
    assert_books_agree(await system.calls(), system.model.bill())


async def call_made_again(system: Whole, number: int) -> float:
    """From the worker's death in mid-call to the second attempt's arrival at the provider."""
    before = len(system.model.bill())
    saying = await system.in_call(f"Worker {number}. [[delay 3]]")
    dead = system.up.pid("worker")
    killed = system.signal("worker", signal.SIGKILL)
    assert (await within(60, saying)).is_success
    await system.reborn("worker", dead)
    return float(system.model.bill()[before + 1]["at"]) - killed


async def message_answered(system: Whole, part: str, number: int) -> float:
    """From a server's death, idle, to the answer to a message that a client says over and over meanwhile."""
    dead = system.up.pid(part)
    system.up.kill(part)
    killed = time.monotonic()
    response = await within(60, system.say_until_answered(f"{part} {number}.", "steady", key=f"{part}-{number}"))
    took = time.monotonic() - killed
    assert response.status_code in {httpx.codes.OK, httpx.codes.ACCEPTED}, response.text
    await system.reborn(part, dead)
    await asyncio.sleep(1)
    return took
