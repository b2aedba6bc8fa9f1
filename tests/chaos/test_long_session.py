"""A thousand turns of long answers: what a run's history holds, and whether the last turn costs more than the first."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx
import pytest
from temporalio.client import Client

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.whole import Whole, whole_with_model

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
        session, took = await converse(system)
        whole_s = time.monotonic() - began
        first_full = await first_turn_after_a_summary(system, session)
        runs = await histories(system, session)
        agreed = assert_books_agree(await system.calls(), system.model.bill())
        assert [turn["turn"] for turn in await system.turns(session)] == list(range(1, TURNS + 1))
    early, late = median(took[first_full : first_full + SPAN]), median(took[-SPAN:])
    events, size = max(run.events for run in runs), max(run.size for run in runs)
    measured(
        f"{TURNS} turns of {ANSWER_TOKENS} tokens in {whole_s:.0f} s, {len(runs)} runs; the largest history:"
        f" {events} events, {max(run.size for run in runs) / 1024:.0f} KiB\n"
        f"median turn: {early * 1000:.1f} ms over the first {SPAN} with a full window (from turn {first_full + 1}),"
        f" {late * 1000:.1f} ms over the last {SPAN}: {late / early:.2f} times; calls {dict(agreed)}"
    )
    assert size < MOST_BYTES
    assert events < MOST_EVENTS
    assert late <= SLOWER_AT_MOST * early
    assert whole_s < MINUTES * 60


async def converse(system: Whole) -> tuple[str, list[float]]:
    """The session and how long each turn took, in seconds."""
    session, took = "a-long-one", []
    for number in range(1, TURNS + 1):
        began = time.monotonic()
        response = await system.say(f"This is message {number}.", session)
        took.append(time.monotonic() - began)
        assert response.status_code == httpx.codes.OK, response.text
        assert response.json()["usage"]["completion_tokens"] == ANSWER_TOKENS
    return session, took


async def first_turn_after_a_summary(system: Whole, session: str) -> int:
    """How many turns were answered before the first summary was made: from then on the window is full."""
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
