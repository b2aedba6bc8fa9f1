"""The plans by mode, and their common functions."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.message_parts import MessagePart
from domain.swarm.modes import collaborative, debate, handoff, hierarchical, parallel, sequential, vote
from domain.swarm.spoken import completed_turns, contribution_text, join_contributions, latest_contributions
from domain.swarm.task import MemberTurn, Mode, NextTurns, Stage, SwarmTask


class SwarmPlan(Protocol):
    """A mode: the next turns, given the turns so far. Pure, and it always ends."""

    def next_turns(self, task: SwarmTask, spoken: Sequence[MemberTurn]) -> NextTurns:
        """Return the turns to take now, in parallel, or the end. `spoken` is in the order of the turns."""
        ...

    def planned_turns(self, task: SwarmTask) -> int:
        """Return the most turns that it takes."""
        ...

    def stage_of(self, turn: int, *, coordinating: bool) -> Stage:
        """Return the stage of an agent's turn of this number (from 1)."""
        ...


PLANS: Mapping[Mode, SwarmPlan] = {
    "collaborative": collaborative,
    "sequential": sequential,
    "parallel": parallel,
    "hierarchical": hierarchical,
    "debate": debate,
    "vote": vote,
    "handoff": handoff,
}


def partial_result(task: SwarmTask, spoken: Sequence[MemberTurn]) -> tuple[MessagePart, ...]:
    """Return the partial result of a swarm that is cut short: the newest contributions, or the last if sequential."""
    if task.mode == "sequential":
        return tuple(contribution_text(one) for one in completed_turns(spoken, "work")[-1:])
    return join_contributions(latest_contributions(task, spoken))
