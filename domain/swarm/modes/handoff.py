"""One member works and names the next, until one finishes: its answer is the result.

No member has two turns in a row, or more than two in all. After a failed turn the next one in the list continues; if
the chain ends with a failure the coordinator integrates the contributions.
"""

from collections.abc import Sequence

from domain.swarm import briefs
from domain.swarm.shapes import FINISH, HANDOFF
from domain.swarm.spoken import completed_turns, contribution_text, fail_without_answers, final_turn, turns_at
from domain.swarm.task import MemberTurn, NextTurns, PlannedTurn, Stage, SwarmOutcome, SwarmTask

MOST_TURNS_EACH = 2

_WORK = (
    "It is handed from one to the other. Do what you can do best, and put it under `answer`: the next one and the"
    f" coordinator see nothing else of it. Then name under `next` who is to go on, or `{FINISH}` when nothing is"
    " missing; whoever finishes writes the complete answer to the task, what others did included."
)
_LAST = f"\n\nThere is nobody left to hand it to: write the complete answer, and name `{FINISH}`."


def next_turns(task: SwarmTask, spoken: Sequence[MemberTurn]) -> NextTurns:
    had = turns_at(spoken, "work")
    if not had:
        return (_turn(task, task.members[0], had),)
    last = had[-1]
    if last.status == "completed":
        [named] = last.named
        return SwarmOutcome("completed", (contribution_text(last),)) if named == FINISH else (_turn(task, named, had),)
    if follower := _follower(task, had):
        return (_turn(task, follower, had),)
    done = completed_turns(spoken, "work")
    if not done:
        return fail_without_answers()
    return final_turn(
        task, spoken, "integrate", PlannedTurn(task.coordinator, "integrate", briefs.integration_brief(task, done))
    )


def _turn(task: SwarmTask, member: str, had: Sequence[MemberTurn]) -> PlannedTurn:
    eligible = _eligible(task, member, had)
    brief = briefs.to_member(task, member, _WORK if eligible else _WORK + _LAST)
    said = briefs.quote(completed_turns(had, "work"))
    return PlannedTurn(member, "work", (*brief, *said), len(had) + 1, HANDOFF.name, (*eligible, FINISH))


def _eligible(task: SwarmTask, speaker: str, had: Sequence[MemberTurn]) -> tuple[str, ...]:
    """Return the members that this one may hand over to."""
    return tuple(member for member in task.members if member != speaker and _is_eligible(member, had))


def _is_eligible(member: str, had: Sequence[MemberTurn]) -> bool:
    own = [one for one in had if one.member == member]
    return len(own) < MOST_TURNS_EACH and all(one.status == "completed" for one in own)


def _follower(task: SwarmTask, had: Sequence[MemberTurn]) -> str | None:
    """Return the member that continues after a failure: the next eligible one in the list."""
    at = task.members.index(had[-1].member)
    in_turn = (*task.members[at + 1 :], *task.members[:at])
    return next((member for member in in_turn if _is_eligible(member, had)), None)


def planned_turns(task: SwarmTask) -> int:
    return MOST_TURNS_EACH * len(task.members) + 1


def stage_of(turn: int, *, coordinating: bool) -> Stage:  # noqa: ARG001  (every turn is alike)
    return "integrate" if coordinating else "work"
