"""People who talk: in sessions of their own, one message after the other, until it is over."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.chaos.whole import Whole, within

SESSIONS = 8
PATIENCE_S = 180.0
PACES = ("", " [[delay 0.3]]", " [[tokens 60]] [[pace 0.05]]", " [[delay 1.5]]")
"""At once, after a silence, piece by piece, slowly: so that kills meet every stage of a call."""


@dataclass
class Talk:
    """One session and what was said in it, in order."""

    session: str
    said: list[str] = field(default_factory=list)


@asynccontextmanager
async def talking(system: Whole) -> AsyncIterator[list[Talk]]:
    """Talks go on for the block; at its end every message is answered."""
    talks, over = [Talk(f"talk-{number}") for number in range(SESSIONS)], asyncio.Event()
    tasks = [asyncio.create_task(_talk(system, each, over)) for each in talks]
    try:
        yield talks
        over.set()
        await within(PATIENCE_S, asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _talk(system: Whole, talk: Talk, over: asyncio.Event) -> None:
    """Say one thing after the other, each under a key of its own, until it is answered."""
    while not over.is_set():
        message = f"Message {len(talk.said) + 1} of {talk.session}.{PACES[len(talk.said) % len(PACES)]}"
        talk.said.append(message)
        response = await system.say_until_answered(message, talk.session, key=f"{talk.session}-{len(talk.said)}")
        assert response.status_code in {httpx.codes.OK, httpx.codes.ACCEPTED}, response.text


async def assert_each_message_has_one_answered_turn(system: Whole, talks: Sequence[Talk]) -> None:
    """Every session holds what was said in it, once, in order, and answered."""
    for talk in talks:
        turns = await system.turns(talk.session)
        assert [turn["message"] for turn in turns] == talk.said
        assert [turn["turn"] for turn in turns] == list(range(1, len(talk.said) + 1))
        assert all(turn["status"] == "completed" and turn["response"] for turn in turns)
