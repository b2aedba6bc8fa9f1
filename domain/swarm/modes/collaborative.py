"""All members answer in parallel, read each other and revise once; then the coordinator integrates."""

from collections.abc import Sequence

from domain.swarm import briefs
from domain.swarm.spoken import completed_turns, fail_without_answers, final_turn, latest_contributions, turns_at
from domain.swarm.task import MemberTurn, NextTurns, PlannedTurn, Stage, SwarmTask

_ANSWER = "Answer it from your own field. You will then read what the others say and may revise your answer once."
_REVISE = (
    "You have answered, and so have the others, as below. Revise your answer: take over what is better, correct what"
    " is wrong in yours, hold on to what you can justify. Write the whole revised answer."
)


def next_turns(task: SwarmTask, spoken: Sequence[MemberTurn]) -> NextTurns:
    if not turns_at(spoken, "answer"):
        return tuple(PlannedTurn(member, "answer", briefs.to_member(task, member, _ANSWER)) for member in task.members)
    answers = completed_turns(spoken, "answer")
    if not answers:
        return fail_without_answers()
    if len(answers) > 1 and not turns_at(spoken, "revise"):
        return tuple(_revision(task, own, answers) for own in answers)
    contributions = latest_contributions(task, spoken)
    return final_turn(
        task,
        spoken,
        "integrate",
        PlannedTurn(task.coordinator, "integrate", briefs.integration_brief(task, contributions)),
    )


def _revision(task: SwarmTask, own: MemberTurn, answers: Sequence[MemberTurn]) -> PlannedTurn:
    others = [one for one in answers if one.member != own.member]
    brief = (*briefs.to_member(task, own.member, _REVISE), *briefs.quote(others))
    return PlannedTurn(own.member, "revise", brief)


def planned_turns(task: SwarmTask) -> int:
    revisions = len(task.members) if len(task.members) > 1 else 0
    return len(task.members) + revisions + 1


def stage_of(turn: int, *, coordinating: bool) -> Stage:
    if coordinating:
        return "integrate"
    return "answer" if turn == 1 else "revise"
