"""A thousand turns of long answers: what a run's history holds, and whether the last turn costs more than the first."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import pytest
from temporalio.client import Client

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.whole import Whole, family, whole_with_model

pytestmark = pytest.mark.prove

TURNS, ANSWER_TOKENS, WINDOW = 1_000, 2_000, 8_192
SPAN = 50
MOST_BYTES, MOST_EVENTS = 2**20, 4_096
SLOWER_AT_MOST = 1.2
MINUTES = 5


@dataclass(frozen=True)
class Run:
    """One run's history: its events and their serialised size."""

    events: int
    size: int


async def test_a_thousand_turns_stay_small_and_do_not_slow_down(tmp_path: Path, measured: Say) -> None:
    async with whole_with_model(tmp_path, CONVERGIO_MAX_ANSWER_TOKENS=str(WINDOW // 4)) as system:
        props = {"default_generation_settings": {"n_ctx": WINDOW}}
        system.model.script(default={"tokens": ANSWER_TOKENS}, props=props)
        began = time.monotonic()
        took, worked = [], [cpu_seconds(system)]
        for number in range(1, TURNS + 1):
            took.append(await turn(system, "old", number))
            worked += [cpu_seconds(system)] if number % SPAN == 0 else []
        whole_s = time.monotonic() - began
        full = await turns_before_the_first_summary(system, "old")
        young = [await turn(system, "young", number) for number in range(1, full + SPAN + 1)]
        runs = await histories(system, "old")
        agreed = assert_books_agree(await system.calls(), system.model.bill())
        assert [turn["turn"] for turn in await system.turns("old")] == list(range(1, TURNS + 1))
    events, size = max(run.events for run in runs), max(run.size for run in runs)
    first, last, after = median(took[full : full + SPAN]), median(took[-SPAN:]), median(young[-SPAN:])
    measured(
        f"{TURNS} turns of {ANSWER_TOKENS} tokens in {whole_s:.0f} s, {len(runs)} runs; the largest history:"
        f" {events} events, {size / 1024:.0f} KiB; calls {dict(agreed)}\n"
        f"median of the last {SPAN} turns {last * 1000:.1f} ms; of the first {SPAN} with a full window"
        f" {first * 1000:.1f} ms ({last / first:.2f} times);"
        f" of a young session's, right after the last, {after * 1000:.1f} ms ({last / after:.2f} times)\n"
        f"CPU of all processes: {per_turn(worked[1:3]):.1f} ms a turn over the turns {SPAN + 1} to {2 * SPAN},"
        f" {per_turn(worked[-2:]):.1f} over the last {SPAN}"
    )
    assert size < MOST_BYTES
    assert events < MOST_EVENTS
    assert last <= SLOWER_AT_MOST * first  # needs a machine that does nothing else; the young session tells if it did
    assert whole_s < MINUTES * 60


async def turn(system: Whole, session: str, number: int) -> float:
    """Say something, and how long the answer took, in seconds."""
    began = time.monotonic()
    response = await system.say(f"This is message {number}.", session)
    took = time.monotonic() - began
    assert response.status_code == httpx.codes.OK, response.text
    assert response.json()["usage"]["completion_tokens"] == ANSWER_TOKENS
    return took


def cpu_seconds(system: Whole) -> float:
    """What every process of the system has used of the processors so far."""
    used = 0
    for pid in family(system.up.run().supervisor):
        with suppress(OSError):  # it has just ended
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
    return used / os.sysconf("SC_CLK_TCK")


def per_turn(worked: Sequence[float]) -> float:
    """Milliseconds a turn between two readings that lie a span apart."""
    return (worked[1] - worked[0]) * 1000 / SPAN


async def turns_before_the_first_summary(system: Whole, session: str) -> int:
    """From then on the window is full."""
    for number, call in enumerate(await system.calls(session_id=session)):
        if call["completion_tokens"] < ANSWER_TOKENS:
            return number
    raise AssertionError("nothing was ever summarised")


async def histories(system: Whole, session: str) -> Sequence[Run]:
    """Every run of the session's workflow."""
    client = await Client.connect(system.environment["TEMPORAL_ADDRESS"])
    found = []
    async for run in client.list_workflows(f'WorkflowId = "chat-{session}"'):
        history = await client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        found.append(Run(len(history.events), sum(event.ByteSize() for event in history.events)))
    return found
