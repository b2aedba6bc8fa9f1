"""The members propose, the coordinator lists the options, the members vote; without a majority the coordinator decides.

A majority is more than half of the ballots cast, by a quorum: more than half of all members.
"""

from collections import Counter
from collections.abc import Sequence

from domain.message_parts import MessagePart
from domain.swarm import briefs
from domain.swarm.shapes import BALLOT, LEAST_OPTIONS, LIST, MOST_OPTIONS
from domain.swarm.spoken import (
    active_members,
    completed_turns,
    fail_without_answers,
    latest_contributions,
    turns_at,
    without_coordinator,
)
from domain.swarm.task import MemberTurn, NextTurns, PlannedTurn, Stage, SwarmOutcome, SwarmTask

_PROPOSE = "It is decided by a vote. Propose what you would choose, in a few sentences: what exactly, and why."
_LIST = (
    "It is decided by a vote, and below is what the members proposed. List the options to vote on, from"
    f" {LEAST_OPTIONS} to {MOST_OPTIONS}: different ones that exclude each other, each in words that can be understood"
    " by itself. Proposals that mean the same are one option. If there is only one, list doing without it as another."
)
_VOTE = "It is decided by a vote. Choose one of these options by its name: the best for the task, whoever proposed it."
_DECIDE = "Decide: choose one of the options, whichever is best for the task, and say why."


def next_turns(task: SwarmTask, spoken: Sequence[MemberTurn]) -> NextTurns:
    if not turns_at(spoken, "propose"):
        return tuple(
            PlannedTurn(member, "propose", briefs.to_member(task, member, _PROPOSE)) for member in task.members
        )
    proposals = latest_contributions(task, spoken)
    if not proposals:
        return fail_without_answers()
    listed = turns_at(spoken, "list")
    if not listed:
        brief = (*briefs.to_coordinator(task, _LIST), *briefs.quote(proposals))
        return (PlannedTurn(task.coordinator, "list", brief, shape=LIST.name),)
    if listed[0].status != "completed":
        return without_coordinator(task, spoken)
    if not turns_at(spoken, "ballot"):
        return tuple(_ballot(task, member, listed[0]) for member in active_members(task, spoken))
    return _count_votes(task, spoken, listed[0])


def _ballot(task: SwarmTask, member: str, options: MemberTurn) -> PlannedTurn:
    brief = (*briefs.to_member(task, member, _VOTE), *_options(options))
    return PlannedTurn(member, "ballot", brief, shape=BALLOT.name, options=options.named)


def _count_votes(task: SwarmTask, spoken: Sequence[MemberTurn], options: MemberTurn) -> NextTurns:
    votes = Counter(one.named[0] for one in completed_turns(spoken, "ballot"))
    cast = votes.total()
    quorum = 2 * cast > len(task.members)
    best, most = votes.most_common(1)[0] if votes else ("", 0)
    if quorum and 2 * most > cast:
        return SwarmOutcome("completed", _outcome(task, votes, options, best, "by a majority of the votes"))
    why = "nobody had a majority" if quorum else "there was no quorum"
    decided = turns_at(spoken, "decide")
    if not decided:
        return (_decision(task, votes, options, why, quorum=quorum),)
    if decided[0].status != "completed":
        return without_coordinator(task, spoken)
    how = f"by the coordinator {task.coordinator}, because {why}"
    reason = (MessagePart("\n\nThe coordinator's reason: "), MessagePart(hash=decided[0].reply_hash, at=("reason",)))
    return SwarmOutcome("completed", (*_outcome(task, votes, options, decided[0].named[0], how), *reason))


def _decision(task: SwarmTask, votes: Counter[str], options: MemberTurn, why: str, *, quorum: bool) -> PlannedTurn:
    """Return the coordinator's turn: it chooses among the options with votes if there was a quorum, else among all."""
    eligible = tuple(option for option in options.named if votes[option] or not quorum)
    role = f"It was put to the vote, and {why}. {_tally(task, votes, options)} {_DECIDE}"
    brief = (*briefs.to_coordinator(task, role), *_options(options))
    return PlannedTurn(task.coordinator, "decide", brief, shape=BALLOT.name, options=eligible)


def _options(options: MemberTurn) -> tuple[MessagePart, ...]:
    parts: list[MessagePart] = []
    for place, name in enumerate(options.named):
        parts += [MessagePart(f"\n\n### {name}\n"), _text(options, place)]
    return tuple(parts)


def _text(options: MemberTurn, place: int) -> MessagePart:
    return MessagePart(hash=options.reply_hash, at=("options", place))


def _outcome(
    task: SwarmTask, votes: Counter[str], options: MemberTurn, chosen: str, how: str
) -> tuple[MessagePart, ...]:
    text = _text(options, options.named.index(chosen))
    return (text, MessagePart(f"\n\nThis is {chosen}, decided {how}. {_tally(task, votes, options)}"))


def _tally(task: SwarmTask, votes: Counter[str], options: MemberTurn) -> str:
    each = ", ".join(f"{option}: {votes[option]}" for option in options.named)
    return f"Votes: {each}; {votes.total()} of {len(task.members)} members voted."


def planned_turns(task: SwarmTask) -> int:
    return 2 * len(task.members) + 2


def stage_of(turn: int, *, coordinating: bool) -> Stage:
    if coordinating:
        return "list" if turn == 1 else "decide"
    return "propose" if turn == 1 else "ballot"
