"""The choice of a team: the prompt, the modes, and the parsed answer."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from domain.message_parts import MessagePart

LEAST_MEMBERS, MOST_MEMBERS = 2, 10

Mode = Literal["collaborative", "sequential", "parallel", "hierarchical", "debate", "vote", "handoff"]

MODES: Mapping[Mode, str] = {
    "collaborative": "all answer side by side, read each other and revise once; the coordinator integrates",
    "sequential": "one after the other, each building on the last; the order of the members is theirs",
    "parallel": "all answer side by side without reading each other; the coordinator integrates",
    "hierarchical": "the coordinator splits the task into parts, delegates them and integrates",
    "debate": "rounds of argument for and against; the coordinator judges",
    "vote": "the members propose and vote; for a choice between alternatives",
    "handoff": "one works at a time and names who goes on; for work whose next step shows itself on the way",
}
"""The description of each mode in the prompt."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent that may be chosen."""

    id: str
    name: str
    description: str
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Team:
    """The members of a team, and their mode. `chosen_by` says whether the model chose, or the rule that replaces it."""

    members: tuple[str, ...]
    mode: Mode
    coordinator: str
    rationale: str
    chosen_by: Literal["model", "rule"] = "model"


def catalogue(candidates: Iterable[Candidate]) -> str:
    """Return the agents as the prompt lists them, a line each."""
    return "\n".join(f"- {one.id}: {one.name}. {one.description}{_capable(one.capabilities)}" for one in candidates)


def _capable(capabilities: Sequence[str]) -> str:
    return f" ({'; '.join(capabilities)})" if capabilities else ""


def team_prompt(
    *, catalogue_hash: str, task_hash: str, context_hash: str | None = None, most: int, mode: Mode | None = None
) -> list[MessagePart]:
    """Return the message of the turn that chooses."""
    modes = {mode: MODES[mode]} if mode else MODES
    told = "\n".join(f"- {name}: {what}" for name, what in modes.items())
    parts = [
        MessagePart(
            "Choose the team for a task. You do not work on the task yourself, and you do not answer it.\n\n"
            f"Choose from {LEAST_MEMBERS} to {most} members, by their ids: the fewest who cover the task, each for"
            " something the others lack. Choose the mode in which they work. Name one who is not a member as the"
            " coordinator only if somebody is clearly better at it than you; null means that you coordinate. Say in"
            " the rationale, in two to four sentences, why these and why so.\n\n"
            f"The modes:\n{told}\n\nThe agents, those first whose descriptions share most with the task:\n"
        ),
        MessagePart(hash=catalogue_hash),
        MessagePart("\n\nThe task:\n"),
        MessagePart(hash=task_hash),
    ]
    return (
        [*parts, MessagePart("\n\nWhat else is known, as JSON:\n"), MessagePart(hash=context_hash)]
        if context_hash
        else parts
    )


def parse_team(answer: str, *, coordinator: str, mode: Mode | None = None) -> Team:
    """Parse an answer of the shape. A requested `mode` takes precedence; `coordinator` is the default one.

    Raises:
        ValueError, KeyError, TypeError: the answer is not of the shape.
    """
    value = json.loads(answer)
    return Team(
        members=tuple(value["members"]),
        mode=mode or cast("Mode", value["mode"]),
        coordinator=value.get("coordinator") or coordinator,
        rationale=value["rationale"].strip(),
    )
