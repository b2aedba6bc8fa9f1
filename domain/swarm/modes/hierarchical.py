"""The coordinator splits the task, the members do their parts in parallel, the coordinator integrates."""

from collections.abc import Sequence

from domain.message_parts import Part
from domain.swarm import briefs
from domain.swarm.shapes import SPLIT
from domain.swarm.spoken import closed, latest, nobody_left, of, without_coordinator
from domain.swarm.task import Next, Speak, Spoken, Stage, Task

_SPLIT = (
    "Split it into parts that can be done side by side, and give each part to the member whose field it is: one part"
    " for a member at most. Not everybody needs one. Write each part's task so that it can be understood by itself."
)
_WORK = "The task was split, and this part of it is yours. Do it completely, and leave the rest to the others.\n\n"


def next_turns(task: Task, spoken: Sequence[Spoken]) -> Next:
    plan = of(spoken, "split")
    if not plan:
        brief = briefs.to_coordinator(task, _SPLIT)
        return (Speak(task.coordinator, "split", brief, shape=SPLIT.name, options=task.members),)
    if plan[0].status != "completed":
        return without_coordinator(task, spoken)
    if not of(spoken, "work"):
        return tuple(_part(task, plan[0], place) for place in range(len(plan[0].named)))
    done = latest(task, spoken)
    if not done:
        return nobody_left()
    return closed(task, spoken, "integrate", Speak(task.coordinator, "integrate", briefs.integrating(task, done)))


def _part(task: Task, plan: Spoken, place: int) -> Speak:
    """Return the turn for the part at this index (from 0) of the plan's reply."""
    member = plan.named[place]
    own = Part(hash=plan.reply_hash, at=("parts", place, "task"))
    return Speak(member, "work", (*briefs.to_member(task, member, _WORK), own))


def planned_turns(task: Task) -> int:
    return len(task.members) + 2


def stage_of(turn: int, *, coordinating: bool) -> Stage:
    if not coordinating:
        return "work"
    return "split" if turn == 1 else "integrate"
