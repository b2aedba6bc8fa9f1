"""The plans by mode, and what holds for all of them."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.message_parts import Part
from domain.swarm.modes import collaborative, debate, handoff, hierarchical, parallel, sequential, vote
from domain.swarm.spoken import completed, latest, reply, side_by_side
from domain.swarm.task import Mode, Next, Spoken, Stage, Task


class Plan(Protocol):
    """A mode: who speaks next, given what has been said. Pure, and it always comes to an end."""

    def next_turns(self, task: Task, spoken: Sequence[Spoken]) -> Next:
        """The turns to take now, all side by side; then it is asked again. `spoken` is in the order of the turns."""
        ...

    def planned_turns(self, task: Task) -> int:
        """The most turns that it takes."""
        ...

    def stage_of(self, turn: int, *, coordinating: bool) -> Stage:
        """Which stage somebody's turn of this number (from 1) is."""
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
    """What stands when a swarm is cut short: the newest contributions; where each builds on the last, that one."""
    if task.mode == "sequential":
        return tuple(reply(one) for one in completed(spoken, "work")[-1:])
    return side_by_side(latest(task, spoken))
