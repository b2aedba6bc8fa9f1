"""The coordinator splits the task, the members do their parts in parallel, the coordinator integrates."""

from collections.abc import Sequence

from domain.message_parts import MessagePart
from domain.swarm import briefs
from domain.swarm.shapes import SPLIT
from domain.swarm.spoken import fail_without_answers, final_turn, latest_contributions, turns_at, without_coordinator
from domain.swarm.task import MemberTurn, NextTurns, PlannedTurn, Stage, SwarmTask

_SPLIT = (
    "Split it into parts that can be done side by side, and give each part to the member whose field it is: one part"
    " for a member at most. Not everybody needs one. Write each part's task so that it can be understood by itself."
)
_WORK = "The task was split, and this part of it is yours. Do it completely, and leave the rest to the others.\n\n"


def next_turns(task: SwarmTask, spoken: Sequence[MemberTurn]) -> NextTurns:
    plan = turns_at(spoken, "split")
    if not plan:
        brief = briefs.to_coordinator(task, _SPLIT)
        return (PlannedTurn(task.coordinator, "split", brief, shape=SPLIT.name, options=task.members),)
    if plan[0].status != "completed":
        return without_coordinator(task, spoken)
    if not turns_at(spoken, "work"):
        return tuple(_part(task, plan[0], place) for place in range(len(plan[0].named)))
    done = latest_contributions(task, spoken)
    if not done:
        return fail_without_answers()
    return final_turn(
        task, spoken, "integrate", PlannedTurn(task.coordinator, "integrate", briefs.integration_brief(task, done))
    )


def _part(task: SwarmTask, plan: MemberTurn, place: int) -> PlannedTurn:
    """Return the turn for the part at this index (from 0) of the plan's reply."""
    member = plan.named[place]
    own = MessagePart(hash=plan.reply_hash, at=("parts", place, "task"))
    return PlannedTurn(member, "work", (*briefs.to_member(task, member, _WORK), own))


def planned_turns(task: SwarmTask) -> int:
    return len(task.members) + 2


def stage_of(turn: int, *, coordinating: bool) -> Stage:
    if not coordinating:
        return "work"
    return "split" if turn == 1 else "integrate"
