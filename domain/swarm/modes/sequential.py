"""The members work one after the other, each building on what the last one wrote; the last reply is the result."""

from collections.abc import Sequence

from domain.swarm import briefs
from domain.swarm.spoken import completed, nobody_left, of, reply
from domain.swarm.task import Next, Over, Speak, Spoken, Stage, Task

_FIRST = "You begin. Work out a first version that the next one can build on."
_NEXT = (
    "Below is what has been worked out so far. Build on it: improve, correct and complete it from your own field, and"
    " write the whole new version. What you leave out is gone."
)


def next_turns(task: Task, spoken: Sequence[Spoken]) -> Next:
    had = len(of(spoken, "work"))
    done = completed(spoken, "work")
    if had < len(task.members):
        member = task.members[had]
        brief = briefs.to_member(task, member, _NEXT if done else _FIRST)
        return (Speak(member, "work", (*brief, *briefs.quoted(done[-1:]))),)
    return Over("completed", (reply(done[-1]),)) if done else nobody_left()


def planned_turns(task: Task) -> int:
    return len(task.members)


def stage_of(turn: int, *, coordinating: bool) -> Stage:  # noqa: ARG001  (each has one turn, and nobody coordinates)
    return "work"
