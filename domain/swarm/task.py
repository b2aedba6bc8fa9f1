"""What a swarm is asked to do, who takes part, and what plans and runs tell each other."""

from dataclasses import dataclass
from typing import Literal, get_args

from domain.message_parts import Part

Mode = Literal["collaborative", "sequential", "parallel", "hierarchical", "debate", "vote", "handoff"]
MODES: tuple[Mode, ...] = get_args(Mode)

Stage = Literal[
    "answer", "revise", "work", "argue", "propose", "ballot", "split", "list", "integrate", "judge", "decide"
]
BY_COORDINATOR: frozenset[Stage] = frozenset({"split", "list", "integrate", "judge", "decide"})
"""The stages that are the coordinator's; all others are the members'."""

MOST_MEMBERS = 20
MOST_ROUNDS = 5
ROUNDS = 2
"""Rounds of a debate that names none."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done, by its text's hash, and by whom: agent ids, the members in their order."""

    mode: Mode
    members: tuple[str, ...]
    coordinator: str
    task_hash: str
    context_hash: str | None = None
    rounds: int = ROUNDS


@dataclass(frozen=True, slots=True)
class Spoken:
    """What became of a turn. `named` are the ids that a shaped reply names; rounds count from 1."""

    member: str
    stage: Stage
    round: int
    status: Literal["completed", "failed", "rejected"]
    reply_hash: str | None = None
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Speak:
    """A turn that is to be taken. With a `shape` the reply follows it and may name any of `options`."""

    member: str
    stage: Stage
    brief: tuple[Part, ...]
    round: int = 1
    shape: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Over:
    """Nobody speaks any more. `result` is the text that stands; `partial`: it is what was done before a failure."""

    status: Literal["completed", "failed"]
    result: tuple[Part, ...] = ()
    partial: bool = False
    reason: str | None = None


Next = tuple[Speak, ...] | Over
