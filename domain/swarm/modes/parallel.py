"""All members answer in parallel, without seeing each other; then the coordinator integrates."""

from collections.abc import Sequence

from domain.swarm import briefs
from domain.swarm.spoken import closed, latest, nobody_left, of
from domain.swarm.task import Next, Speak, Spoken, Stage, Task

_ANSWER = "Answer it from your own field, completely and without waiting for the others."


def next_turns(task: Task, spoken: Sequence[Spoken]) -> Next:
    if not of(spoken, "answer"):
        return tuple(Speak(member, "answer", briefs.to_member(task, member, _ANSWER)) for member in task.members)
    answers = latest(task, spoken)
    if not answers:
        return nobody_left()
    return closed(task, spoken, "integrate", Speak(task.coordinator, "integrate", briefs.integrating(task, answers)))


def planned_turns(task: Task) -> int:
    return len(task.members) + 1


def stage_of(turn: int, *, coordinating: bool) -> Stage:  # noqa: ARG001  (each has one turn)
    return "integrate" if coordinating else "answer"
