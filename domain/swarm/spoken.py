"""The turns so far, as plans read them."""

from collections.abc import Iterable, Sequence

from domain.message_parts import Part
from domain.swarm.task import BY_COORDINATOR, Over, Speak, Spoken, Stage, Task

CONTRIBUTING: frozenset[Stage] = frozenset({"answer", "revise", "work", "argue", "propose"})
"""The stages whose replies are work on the task itself."""
ANSWER = ("answer",)
"""The path of the work in a handoff reply."""


def of(spoken: Iterable[Spoken], *stages: Stage) -> list[Spoken]:
    """Return the turns at these stages, failed ones included."""
    return [one for one in spoken if one.stage in stages]


def completed(spoken: Iterable[Spoken], *stages: Stage) -> list[Spoken]:
    """Return the completed turns at these stages."""
    return [one for one in of(spoken, *stages) if one.status == "completed"]


def standing(task: Task, spoken: Iterable[Spoken]) -> tuple[str, ...]:
    """Return the members that have not failed: a failed one gets no further turn."""
    out = {one.member for one in spoken if one.status != "completed" and one.stage not in BY_COORDINATOR}
    return tuple(member for member in task.members if member not in out)


def latest(task: Task, spoken: Iterable[Spoken]) -> list[Spoken]:
    """Return the newest contribution of each member that has one, in the order of the members."""
    newest = {one.member: one for one in completed(spoken, *CONTRIBUTING)}
    return [newest[member] for member in task.members if member in newest]


def reply(one: Spoken) -> Part:
    """Return the text of a contribution: all of the reply, or the work inside a handoff reply."""
    return Part(hash=one.reply_hash, at=ANSWER if one.named else ())


def side_by_side(contributions: Sequence[Spoken]) -> tuple[Part, ...]:
    """Join contributions, each under its author's id."""
    parts: list[Part] = []
    for one in contributions:
        parts += [Part("\n\n" if parts else ""), Part(f"## {one.member}\n\n"), reply(one)]
    return tuple(parts)


def nobody_left() -> Over:
    return Over("failed", reason="no member came to an answer")


def without_coordinator(task: Task, spoken: Sequence[Spoken]) -> Over:
    """End after a failure of the coordinator: the contributions are the partial result."""
    stands = side_by_side(latest(task, spoken))
    return Over("failed", stands, partial=bool(stands), reason=f"the coordinator {task.coordinator} failed")


def closed(task: Task, spoken: Sequence[Spoken], stage: Stage, speak: Speak) -> tuple[Speak, ...] | Over:
    """Return the coordinator's final turn, `speak`, while it has not ended, then the end of the swarm."""
    said = of(spoken, stage)
    if not said:
        return (speak,)
    if said[-1].status != "completed":
        return without_coordinator(task, spoken)
    return Over("completed", (reply(said[-1]),))
