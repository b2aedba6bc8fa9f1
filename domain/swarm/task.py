"""The task of a swarm, its members, and the values that plans and workflows exchange."""

from dataclasses import dataclass
from typing import Literal, get_args

from domain.message_parts import MessagePart

Mode = Literal["collaborative", "sequential", "parallel", "hierarchical", "debate", "vote", "handoff"]
MODES: tuple[Mode, ...] = get_args(Mode)

Stage = Literal[
    "answer", "revise", "work", "argue", "propose", "ballot", "split", "list", "integrate", "judge", "decide"
]
BY_COORDINATOR: frozenset[Stage] = frozenset({"split", "list", "integrate", "judge", "decide"})
"""The stages of the coordinator; all others are the members'."""

MOST_MEMBERS = 20
MOST_ROUNDS = 5
ROUNDS = 2
"""Rounds of a debate that names none."""


@dataclass(frozen=True, slots=True)
class SwarmTask:
    """The task, by its text's hash, and its agents by id, the members in order."""

    mode: Mode
    members: tuple[str, ...]
    coordinator: str
    task_hash: str
    context_hash: str | None = None
    rounds: int = ROUNDS


@dataclass(frozen=True, slots=True)
class MemberTurn:
    """The result of a turn. `named` are the ids that a shaped reply names; rounds count from 1."""

    member: str
    stage: Stage
    round: int
    status: Literal["completed", "failed", "rejected"]
    reply_hash: str | None = None
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedTurn:
    """A turn to take. With a `shape` the reply follows it and may name any of `options`."""

    member: str
    stage: Stage
    brief: tuple[MessagePart, ...]
    round: int = 1
    shape: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SwarmOutcome:
    """The end of a swarm. `result` is its text; `partial`: it is incomplete because of a failure."""

    status: Literal["completed", "failed"]
    result: tuple[MessagePart, ...] = ()
    partial: bool = False
    reason: str | None = None


NextTurns = tuple[PlannedTurn, ...] | SwarmOutcome
