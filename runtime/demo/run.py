"""`convergio demo`: a chat whose worker is killed in mid-answer. Every claim is checked on the running system."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx2
from rich.console import Console

from runtime.demo.narration import Narrator, unix_seconds
from runtime.demo.stage import AGENT, DemoSystem, demo_system
from runtime.embedded.server import StartFailed
from runtime.settings import Settings

SESSION = "demo"
AGAIN_WITHIN_S = 12.0
_INTO_THE_ANSWER_S = 1.5  # the model has read the prompt by then, and writes
_GREETING = "In one sentence: what can you do for me?"
_STORIES = tuple(
    f"Tell me a long story about {what}, with all its chapters."
    for what in (
        "a ship that kept its log through every storm",
        "a lighthouse that was never dark",
        "a courier who never lost a letter",
        "a town that wrote everything down",
        "a bridge that was built twice",
    )
)


@dataclass(frozen=True)
class KilledWorker:
    """A killed worker: its process id, the time (Unix seconds), and the call it was in."""

    pid: int
    at: float
    call_id: str


def run_demo(settings: Settings) -> int:
    """Run the demo on a terminal. Returns 0 if every claim held, 1 if one did not or the demo could not end."""
    del settings  # the demo runs on defaults, whatever is set
    telling = Narrator(Console(highlight=False))
    try:
        _play(telling)
    except (StartFailed, httpx2.HTTPError, TimeoutError) as failure:
        telling.check(f"the demo comes to its end: {failure or type(failure).__name__}", held=False)
    return telling.verdict()


def _play(telling: Narrator) -> None:
    telling.show_step(
        "1  Start everything", "Servers, a worker and a small language model, in a directory of their own."
    )
    with demo_system() as running:
        with telling.show_status("starting"):
            running.wait_until_healthy()
        telling.show_line(", ".join(f"{name} (process {mark.pid})" for name, mark in running.run.children.items()))
        _greet(telling, running)
        killed, response = _interrupt(telling, running)
        _show_ledger(telling, running, killed)
        _show_history(telling, running, response)
        telling.show_step("6  Stop everything", "The API first, then the worker once it has finished running work.")
        with telling.show_status("stopping"):
            stopped = running.stop()
        telling.check("everything has stopped, and nothing is left running", held=stopped)


def _greet(telling: Narrator, running: DemoSystem) -> None:
    telling.show_step("2  Say something", f"To the agent {AGENT}, over HTTP.")
    with telling.show_status("the model answers"):
        response = running.send_message(_GREETING, SESSION)
    telling.show_exchange(AGENT, _GREETING, response)
    telling.check("the agent answered", held=_is_answer(response))


def _interrupt(telling: Narrator, running: DemoSystem) -> tuple[KilledWorker, httpx2.Response]:
    telling.show_step(
        "3  Kill the worker in mid-answer",
        "While the model writes, the process that waits for it gets SIGKILL. It cannot clean up or report anything.",
    )
    with ThreadPoolExecutor(1) as pool:
        for message in _STORIES:
            asked = pool.submit(running.send_message, message, SESSION)
            killed = _kill_in_call(running, asked.done)
            if killed is not None:
                _follow(telling, running, killed, asked.done)
                response = asked.result()
                telling.show_exchange(AGENT, message, response)
                telling.check("the caller, who waited all the while, got the answer", held=_is_answer(response))
                return killed, response
            asked.result()
            telling.show_line("the model was quicker than the kill; once more")
    raise TimeoutError("no answer took long enough to be interrupted")


def _kill_in_call(running: DemoSystem, answered: Callable[[], bool]) -> KilledWorker | None:
    """Kill the worker some way into its call; None if the answer was settled before."""
    while not (calls := _in_state(running.calls(), "reserved")):
        if answered():
            return None
        time.sleep(0.02)
    time.sleep(_INTO_THE_ANSWER_S)
    killed = KilledWorker(running.kill("worker"), time.time(), calls[-1]["call_id"])
    return killed if _attempts(running, killed)[0]["state"] == "reserved" else None


def _follow(telling: Narrator, running: DemoSystem, killed: KilledWorker, answered: Callable[[], bool]) -> None:
    """Report the events as they happen, until the caller has the answer."""
    telling.show_event(
        killed.at, killed.at, f"worker killed (process {killed.pid}); its call is lost, its caller waits"
    )
    reborn = again = False
    with telling.show_status("Temporal gives a silent worker ten seconds, then its work to another"):
        while not answered():
            pid = running.run.children["worker"].pid
            if not reborn and pid != killed.pid:
                reborn = True
                telling.show_event(time.time(), killed.at, f"the supervisor has started another worker (process {pid})")
            if not again and (later := _attempts(running, killed)[1:]):
                again = True
                telling.show_event(
                    unix_seconds(later[0]["at"]), killed.at, "Temporal gave it the turn; attempt 2 starts"
                )
            time.sleep(0.1)
    telling.show_event(time.time(), killed.at, "the answer is there")


def _show_ledger(telling: Narrator, running: DemoSystem, killed: KilledWorker) -> None:
    telling.show_step(
        "4  Look at the cost ledger",
        "Every attempt was reserved before it was made. Nobody can know whether the provider charges for the lost one,"
        " so nothing is guessed: it is unknown, up to its worst case. The others are settled, with their answers.",
    )
    calls, attempts = running.calls(), _attempts(running, killed)
    telling.show_ledger(calls)
    again = unix_seconds(attempts[-1]["at"]) - killed.at
    states = [call["state"] for call in attempts]
    telling.check("the lost attempt is unknown, the one after it settled", held=states == ["unknown", "settled"])
    others = [call["state"] for call in calls if call["call_id"] != killed.call_id]
    telling.check("every other call is settled", held=set(others) == {"settled"})
    claim = f"attempt 2 began {again:.1f} s after the kill; {AGAIN_WITHIN_S:.0f} s are promised"
    telling.check(claim, held=0 < again <= AGAIN_WITHIN_S)


def _show_history(telling: Narrator, running: DemoSystem, response: httpx2.Response) -> None:
    telling.show_step("5  Look at the conversation", "As any client reads it.")
    turns = running.turns(SESSION)
    telling.show_turns(turns)
    numbers = [turn["turn"] for turn in turns]
    telling.check("the turns are numbered without a gap", held=numbers == list(range(1, len(turns) + 1)))
    said = [turn["message"] for turn in turns]
    telling.check("each message is there once", held=said == [_GREETING, *_STORIES[: len(turns) - 1]])
    telling.check("each is answered", held=all(turn["status"] == "completed" for turn in turns))
    if _is_answer(response):
        same = turns[-1]["response"] == response.json()["response"]
        telling.check("the last answer on record is the one the caller got", held=same)


def _attempts(running: DemoSystem, killed: KilledWorker) -> list[dict[str, Any]]:
    return [call for call in running.calls() if call["call_id"] == killed.call_id]


def _in_state(calls: list[dict[str, Any]], state: str) -> list[dict[str, Any]]:
    return [call for call in calls if call["state"] == state]


def _is_answer(response: httpx2.Response) -> bool:
    return response.status_code == httpx2.codes.OK and bool(response.json()["response"])
