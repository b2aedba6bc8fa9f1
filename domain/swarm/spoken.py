"""What has been said so far, as plans look at it."""

from collections.abc import Iterable, Sequence

from domain.message_parts import Part
from domain.swarm.task import BY_COORDINATOR, Over, Speak, Spoken, Stage, Task

CONTRIBUTING: frozenset[Stage] = frozenset({"answer", "revise", "work", "argue", "propose"})
"""The stages whose replies are work on the task itself."""
ANSWER = ("answer",)
"""Where in a handed-on reply the work itself stands."""


def of(spoken: Iterable[Spoken], *stages: Stage) -> list[Spoken]:
    """What was said at these stages, failures included."""
    return [one for one in spoken if one.stage in stages]


def completed(spoken: Iterable[Spoken], *stages: Stage) -> list[Spoken]:
    """What was said at these stages and came to its end."""
    return [one for one in of(spoken, *stages) if one.status == "completed"]


def standing(task: Task, spoken: Iterable[Spoken]) -> tuple[str, ...]:
    """The members that have not failed: one that did is not asked again."""
    out = {one.member for one in spoken if one.status != "completed" and one.stage not in BY_COORDINATOR}
    return tuple(member for member in task.members if member not in out)


def latest(task: Task, spoken: Iterable[Spoken]) -> list[Spoken]:
    """The newest contribution of each member that has one, in the order of the members."""
    newest = {one.member: one for one in completed(spoken, *CONTRIBUTING)}
    return [newest[member] for member in task.members if member in newest]


def reply(one: Spoken) -> Part:
    """The words of a contribution: all of the reply, or the work inside a handed-on one."""
    return Part(hash=one.reply_hash, at=ANSWER if one.named else ())


def side_by_side(contributions: Sequence[Spoken]) -> tuple[Part, ...]:
    """Contributions one under the other, each under its speaker's id."""
    parts: list[Part] = []
    for one in contributions:
        parts += [Part("\n\n" if parts else ""), Part(f"## {one.member}\n\n"), reply(one)]
    return tuple(parts)


def nobody_left() -> Over:
    return Over("failed", reason="no member came to an answer")


def without_coordinator(task: Task, spoken: Sequence[Spoken]) -> Over:
    """The coordinator failed: the contributions stand as a partial result."""
    stands = side_by_side(latest(task, spoken))
    return Over("failed", stands, partial=bool(stands), reason=f"the coordinator {task.coordinator} failed")


def closed(task: Task, spoken: Sequence[Spoken], stage: Stage, speak: Speak) -> tuple[Speak, ...] | Over:
    """The coordinator's last word: `speak` while it has not been said, then the end that it leads to."""
    said = of(spoken, stage)
    if not said:
        return (speak,)
    if said[-1].status != "completed":
        return without_coordinator(task, spoken)
    return Over("completed", (reply(said[-1]),))
