"""The turns so far, as plans read them."""

from collections.abc import Iterable, Sequence

from domain.message_parts import MessagePart
from domain.swarm.task import BY_COORDINATOR, MemberTurn, PlannedTurn, Stage, SwarmOutcome, SwarmTask

CONTRIBUTING: frozenset[Stage] = frozenset({"answer", "revise", "work", "argue", "propose"})
"""The stages whose replies are work on the task itself."""
ANSWER = ("answer",)
"""The path of the work in a handoff reply."""


def turns_at(spoken: Iterable[MemberTurn], *stages: Stage) -> list[MemberTurn]:
    """Return the turns at these stages, failed ones included."""
    return [one for one in spoken if one.stage in stages]


def completed_turns(spoken: Iterable[MemberTurn], *stages: Stage) -> list[MemberTurn]:
    """Return the completed turns at these stages."""
    return [one for one in turns_at(spoken, *stages) if one.status == "completed"]


def active_members(task: SwarmTask, spoken: Iterable[MemberTurn]) -> tuple[str, ...]:
    """Return the members that have not failed: a failed one gets no further turn."""
    out = {one.member for one in spoken if one.status != "completed" and one.stage not in BY_COORDINATOR}
    return tuple(member for member in task.members if member not in out)


def latest_contributions(task: SwarmTask, spoken: Iterable[MemberTurn]) -> list[MemberTurn]:
    """Return the newest contribution of each member that has one, in the order of the members."""
    newest = {one.member: one for one in completed_turns(spoken, *CONTRIBUTING)}
    return [newest[member] for member in task.members if member in newest]


def contribution_text(one: MemberTurn) -> MessagePart:
    """Return the text of a contribution: all of the reply, or the work inside a handoff reply."""
    return MessagePart(hash=one.reply_hash, at=ANSWER if one.named else ())


def join_contributions(contributions: Sequence[MemberTurn]) -> tuple[MessagePart, ...]:
    """Join contributions, each under its author's id."""
    parts: list[MessagePart] = []
    for one in contributions:
        parts += [MessagePart("\n\n" if parts else ""), MessagePart(f"## {one.member}\n\n"), contribution_text(one)]
    return tuple(parts)


def fail_without_answers() -> SwarmOutcome:
    return SwarmOutcome("failed", reason="no member came to an answer")


def without_coordinator(task: SwarmTask, spoken: Sequence[MemberTurn]) -> SwarmOutcome:
    """End after a failure of the coordinator: the contributions are the partial result."""
    stands = join_contributions(latest_contributions(task, spoken))
    return SwarmOutcome("failed", stands, partial=bool(stands), reason=f"the coordinator {task.coordinator} failed")


def final_turn(
    task: SwarmTask, spoken: Sequence[MemberTurn], stage: Stage, speak: PlannedTurn
) -> tuple[PlannedTurn, ...] | SwarmOutcome:
    """Return the coordinator's final turn, `speak`, while it has not ended, then the end of the swarm."""
    said = turns_at(spoken, stage)
    if not said:
        return (speak,)
    if said[-1].status != "completed":
        return without_coordinator(task, spoken)
    return SwarmOutcome("completed", (contribution_text(said[-1]),))
