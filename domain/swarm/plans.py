"""The plans by mode, and their common functions."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.message_parts import Part
from domain.swarm.modes import collaborative, debate, handoff, hierarchical, parallel, sequential, vote
from domain.swarm.spoken import completed, latest, reply, side_by_side
from domain.swarm.task import Mode, Next, Spoken, Stage, Task


class Plan(Protocol):
    """A mode: the next turns, given the turns so far. Pure, and it always ends."""

    def next_turns(self, task: Task, spoken: Sequence[Spoken]) -> Next:
        """Return the turns to take now, in parallel, or the end. `spoken` is in the order of the turns."""
        ...

    def planned_turns(self, task: Task) -> int:
        """Return the most turns that it takes."""
        ...

    def stage_of(self, turn: int, *, coordinating: bool) -> Stage:
        """Return the stage of an agent's turn of this number (from 1)."""
        ...


PLANS: Mapping[Mode, Plan] = {
    "collaborative": collaborative,
    "sequential": sequential,
    "parallel": parallel,
    "hierarchical": hierarchical,
    "debate": debate,
    "vote": vote,
    "handoff": handoff,
}


def left(task: Task, spoken: Sequence[Spoken]) -> tuple[Part, ...]:
    """Return the partial result of a swarm that is cut short: the newest contributions, or the last if sequential."""
    if task.mode == "sequential":
        return tuple(reply(one) for one in completed(spoken, "work")[-1:])
    return side_by_side(latest(task, spoken))
