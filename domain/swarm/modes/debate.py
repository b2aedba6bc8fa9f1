"""The members argue in rounds, in parallel within a round, each with the previous one; then a judge decides."""

from collections.abc import Sequence

from domain.message_parts import MessagePart
from domain.swarm import briefs
from domain.swarm.spoken import (
    active_members,
    completed_turns,
    fail_without_answers,
    final_turn,
    latest_contributions,
    turns_at,
)
from domain.swarm.task import MemberTurn, NextTurns, PlannedTurn, Stage, SwarmTask

_OPEN = "It is debated. Take a position and argue for it: your best reasons, the evidence, what would change your mind."
_ARGUE = (
    "It is debated, and below is what the others argued in the last round. Answer their strongest points, give up what"
    " they have refuted, and argue for the position that you hold now."
)
_JUDGE = (
    "It was debated in rounds, as below. You are the judge. Weigh the arguments, not the number of those who made them."
    " Decide, give the reasons that decided it, and name what remains open."
)


def next_turns(task: SwarmTask, spoken: Sequence[MemberTurn]) -> NextTurns:
    argued = turns_at(spoken, "argue")
    had = max((one.round for one in argued), default=0)
    speakers = active_members(task, spoken)
    if had == 0 or (had < task.rounds and len(speakers) > 1):
        return tuple(_argument(task, member, had + 1, completed_turns(argued, "argue")) for member in speakers)
    if not completed_turns(argued, "argue"):
        return fail_without_answers()
    return final_turn(task, spoken, "judge", PlannedTurn(task.coordinator, "judge", _case(task, spoken)))


def _argument(task: SwarmTask, member: str, number: int, argued: Sequence[MemberTurn]) -> PlannedTurn:
    last = [one for one in argued if one.round == number - 1 and one.member != member]
    brief = briefs.to_member(task, member, _ARGUE if last else _OPEN)
    return PlannedTurn(member, "argue", (*brief, *briefs.quote(last)), round=number)


def _case(task: SwarmTask, spoken: Sequence[MemberTurn]) -> tuple[MessagePart, ...]:
    """Return all arguments, round by round."""
    parts = list(briefs.to_coordinator(task, _JUDGE))
    for number in range(1, task.rounds + 1):
        argued = [one for one in completed_turns(spoken, "argue") if one.round == number]
        if argued:
            parts += [MessagePart(f"\n\n## Round {number}"), *briefs.quote(argued)]
    return (*parts, *briefs.name_missing(task, latest_contributions(task, spoken)))


def planned_turns(task: SwarmTask) -> int:
    return len(task.members) * task.rounds + 1


def stage_of(turn: int, *, coordinating: bool) -> Stage:  # noqa: ARG001  (every round is alike)
    return "judge" if coordinating else "argue"
