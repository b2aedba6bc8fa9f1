"""The members work one after the other, each building on what the last one wrote; the last reply is the result."""

from collections.abc import Sequence

from domain.swarm import briefs
from domain.swarm.spoken import completed_turns, contribution_text, fail_without_answers, turns_at
from domain.swarm.task import MemberTurn, NextTurns, PlannedTurn, Stage, SwarmOutcome, SwarmTask

_FIRST = "You begin. Work out a first version that the next one can build on."
_NEXT = (
    "Below is what has been worked out so far. Build on it: improve, correct and complete it from your own field, and"
    " write the whole new version. What you leave out is gone."
)


def next_turns(task: SwarmTask, spoken: Sequence[MemberTurn]) -> NextTurns:
    had = len(turns_at(spoken, "work"))
    done = completed_turns(spoken, "work")
    if had < len(task.members):
        member = task.members[had]
        brief = briefs.to_member(task, member, _NEXT if done else _FIRST)
        return (PlannedTurn(member, "work", (*brief, *briefs.quote(done[-1:]))),)
    return SwarmOutcome("completed", (contribution_text(done[-1]),)) if done else fail_without_answers()


def planned_turns(task: SwarmTask) -> int:
    return len(task.members)


def stage_of(turn: int, *, coordinating: bool) -> Stage:  # noqa: ARG001  (each has one turn, and nobody coordinates)
    return "work"
