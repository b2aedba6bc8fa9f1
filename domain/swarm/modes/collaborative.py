"""All members answer in parallel, read each other and revise once; then the coordinator integrates."""

from collections.abc import Sequence

from domain.swarm import briefs
from domain.swarm.spoken import closed, completed, latest, nobody_left, of
from domain.swarm.task import Next, Speak, Spoken, Stage, Task

_ANSWER = "Answer it from your own field. You will then read what the others say and may revise your answer once."
_REVISE = (
    "You have answered, and so have the others, as below. Revise your answer: take over what is better, correct what"
    " is wrong in yours, hold on to what you can justify. Write the whole revised answer."
)


def next_turns(task: Task, spoken: Sequence[Spoken]) -> Next:
    if not of(spoken, "answer"):
        return tuple(Speak(member, "answer", briefs.to_member(task, member, _ANSWER)) for member in task.members)
    answers = completed(spoken, "answer")
    if not answers:
        return nobody_left()
    if len(answers) > 1 and not of(spoken, "revise"):
        return tuple(_revision(task, own, answers) for own in answers)
    contributions = latest(task, spoken)
    return closed(
        task, spoken, "integrate", Speak(task.coordinator, "integrate", briefs.integrating(task, contributions))
    )


def _revision(task: Task, own: Spoken, answers: Sequence[Spoken]) -> Speak:
    others = [one for one in answers if one.member != own.member]
    brief = (*briefs.to_member(task, own.member, _REVISE), *briefs.quoted(others))
    return Speak(own.member, "revise", brief)


def planned_turns(task: Task) -> int:
    revisions = len(task.members) if len(task.members) > 1 else 0
    return len(task.members) + revisions + 1


def stage_of(turn: int, *, coordinating: bool) -> Stage:
    if coordinating:
        return "integrate"
    return "answer" if turn == 1 else "revise"
