"""All members answer in parallel, without seeing each other; then the coordinator integrates."""

from collections.abc import Sequence

from domain.swarm import briefs
from domain.swarm.spoken import fail_without_answers, final_turn, latest_contributions, turns_at
from domain.swarm.task import MemberTurn, NextTurns, PlannedTurn, Stage, SwarmTask

_ANSWER = "Answer it from your own field, completely and without waiting for the others."


def next_turns(task: SwarmTask, spoken: Sequence[MemberTurn]) -> NextTurns:
    if not turns_at(spoken, "answer"):
        return tuple(PlannedTurn(member, "answer", briefs.to_member(task, member, _ANSWER)) for member in task.members)
    answers = latest_contributions(task, spoken)
    if not answers:
        return fail_without_answers()
    return final_turn(
        task, spoken, "integrate", PlannedTurn(task.coordinator, "integrate", briefs.integration_brief(task, answers))
    )


def planned_turns(task: SwarmTask) -> int:
    return len(task.members) + 1


def stage_of(turn: int, *, coordinating: bool) -> Stage:  # noqa: ARG001  (each has one turn)
    return "integrate" if coordinating else "answer"
