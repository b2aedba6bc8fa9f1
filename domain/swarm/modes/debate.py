"""The members argue in rounds, in parallel within a round, each with the previous one; then a judge decides."""

from collections.abc import Sequence

from domain.message_parts import Part
from domain.swarm import briefs
from domain.swarm.spoken import closed, completed, latest, nobody_left, of, standing
from domain.swarm.task import Next, Speak, Spoken, Stage, Task

_OPEN = "It is debated. Take a position and argue for it: your best reasons, the evidence, what would change your mind."
_ARGUE = (
    "It is debated, and below is what the others argued in the last round. Answer their strongest points, give up what"
    " they have refuted, and argue for the position that you hold now."
)
_JUDGE = (
    "It was debated in rounds, as below. You are the judge. Weigh the arguments, not the number of those who made them."
    " Decide, give the reasons that decided it, and name what remains open."
)


def next_turns(task: Task, spoken: Sequence[Spoken]) -> Next:
    argued = of(spoken, "argue")
    had = max((one.round for one in argued), default=0)
    speakers = standing(task, spoken)
    if had == 0 or (had < task.rounds and len(speakers) > 1):
        return tuple(_argument(task, member, had + 1, completed(argued, "argue")) for member in speakers)
    if not completed(argued, "argue"):
        return nobody_left()
    return closed(task, spoken, "judge", Speak(task.coordinator, "judge", _case(task, spoken)))


def _argument(task: Task, member: str, number: int, argued: Sequence[Spoken]) -> Speak:
    last = [one for one in argued if one.round == number - 1 and one.member != member]
    brief = briefs.to_member(task, member, _ARGUE if last else _OPEN)
    return Speak(member, "argue", (*brief, *briefs.quoted(last)), round=number)


def _case(task: Task, spoken: Sequence[Spoken]) -> tuple[Part, ...]:
    """Return all arguments, round by round."""
    parts = list(briefs.to_coordinator(task, _JUDGE))
    for number in range(1, task.rounds + 1):
        argued = [one for one in completed(spoken, "argue") if one.round == number]
        if argued:
            parts += [Part(f"\n\n## Round {number}"), *briefs.quoted(argued)]
    return (*parts, *briefs.missing(task, latest(task, spoken)))


def planned_turns(task: Task) -> int:
    return len(task.members) * task.rounds + 1


def stage_of(turn: int, *, coordinating: bool) -> Stage:  # noqa: ARG001  (every round is alike)
    return "judge" if coordinating else "argue"
