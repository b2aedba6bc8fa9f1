"""Messages to members and coordinators: fixed texts, and contributions by their hashes."""

from collections.abc import Sequence

from domain.message_parts import Part
from domain.swarm.spoken import reply
from domain.swarm.task import Spoken, Task


def to_member(task: Task, member: str, role: str) -> tuple[Part, ...]:
    """Return the start of every message to a member: the other members, the task, and its own role."""
    others = [other for other in task.members if other != member]
    company = f"You work on a task together with {_named(others)}. " if others else "You work on a task. "
    return (Part(f"{company}You are {member}.\n\n"), *_task(task), Part(f"\n\n{role}"))


def to_coordinator(task: Task, role: str) -> tuple[Part, ...]:
    """Return the start of every message to the coordinator."""
    company = f"You coordinate the work of {_named(task.members)} on a task.\n\n"
    return (Part(company), *_task(task), Part(f"\n\n{role}"))


def quoted(contributions: Sequence[Spoken]) -> tuple[Part, ...]:
    """Return the contributions of others, each under its author's id."""
    parts: list[Part] = []
    for one in contributions:
        parts += [Part(f"\n\n### {one.member} wrote:\n"), reply(one)]
    return tuple(parts)


def missing(task: Task, contributions: Sequence[Spoken]) -> tuple[Part, ...]:
    """Name the members without a contribution, so that their silence is not taken for consent."""
    heard = {one.member for one in contributions}
    silent = [member for member in task.members if member not in heard]
    return (Part(f"\n\nNothing came from {_named(silent)}. Do not guess what they would have said."),) if silent else ()


def integrating(task: Task, contributions: Sequence[Spoken]) -> tuple[Part, ...]:
    """Return the message by which the coordinator integrates the contributions."""
    role = (
        "Below is what they wrote. Make one result of it that answers the task: keep what is right and useful, settle"
        " contradictions and say how, leave out repetition. Write the result itself, not a report about it."
    )
    return (*to_coordinator(task, role), *quoted(contributions), *missing(task, contributions))


def _task(task: Task) -> tuple[Part, ...]:
    context = (
        (Part("\n\nWhat is known about it, as JSON:\n"), Part(hash=task.context_hash)) if task.context_hash else ()
    )
    return (Part("The task:\n"), Part(hash=task.task_hash), *context)


def _named(agents: Sequence[str]) -> str:
    return ", ".join(agents[:-1]) + (" and " if agents[1:] else "") + agents[-1]
