"""Messages to members and coordinators: fixed texts, and contributions by their hashes."""

from collections.abc import Sequence

from domain.message_parts import MessagePart
from domain.swarm.spoken import contribution_text
from domain.swarm.task import MemberTurn, SwarmTask


def to_member(task: SwarmTask, member: str, role: str) -> tuple[MessagePart, ...]:
    """Return the start of every message to a member: the other members, the task, and its own role."""
    others = [other for other in task.members if other != member]
    company = f"You work on a task together with {_join_names(others)}. " if others else "You work on a task. "
    return (MessagePart(f"{company}You are {member}.\n\n"), *_task(task), MessagePart(f"\n\n{role}"))


def to_coordinator(task: SwarmTask, role: str) -> tuple[MessagePart, ...]:
    """Return the start of every message to the coordinator."""
    company = f"You coordinate the work of {_join_names(task.members)} on a task.\n\n"
    return (MessagePart(company), *_task(task), MessagePart(f"\n\n{role}"))


def quote(contributions: Sequence[MemberTurn]) -> tuple[MessagePart, ...]:
    """Return the contributions of others, each under its author's id."""
    parts: list[MessagePart] = []
    for one in contributions:
        parts += [MessagePart(f"\n\n### {one.member} wrote:\n"), contribution_text(one)]
    return tuple(parts)


def name_missing(task: SwarmTask, contributions: Sequence[MemberTurn]) -> tuple[MessagePart, ...]:
    """Name the members without a contribution, so that their silence is not taken for consent."""
    heard = {one.member for one in contributions}
    silent = [member for member in task.members if member not in heard]
    return (
        (MessagePart(f"\n\nNothing came from {_join_names(silent)}. Do not guess what they would have said."),)
        if silent
        else ()
    )


def integration_brief(task: SwarmTask, contributions: Sequence[MemberTurn]) -> tuple[MessagePart, ...]:
    """Return the message by which the coordinator integrates the contributions."""
    role = (
        "Below is what they wrote. Make one result of it that answers the task: keep what is right and useful, settle"
        " contradictions and say how, leave out repetition. Write the result itself, not a report about it."
    )
    return (*to_coordinator(task, role), *quote(contributions), *name_missing(task, contributions))


def _task(task: SwarmTask) -> tuple[MessagePart, ...]:
    context = (
        (MessagePart("\n\nWhat is known about it, as JSON:\n"), MessagePart(hash=task.context_hash))
        if task.context_hash
        else ()
    )
    return (MessagePart("The task:\n"), MessagePart(hash=task.task_hash), *context)


def _join_names(agents: Sequence[str]) -> str:
    return ", ".join(agents[:-1]) + (" and " if agents[1:] else "") + agents[-1]
