"""The state of a run at its end: nodes to resume, nodes with outputs, nodes to compensate."""

from collections.abc import Mapping
from typing import Any

from activities.graphflow.node_input import impossible
from activities.graphflow.plans import Plan
from domain.graphflow.execution.aggregate import Run
from domain.graphflow.execution.scheduler import Over, State, Visit


def to_undo(plan: Plan, run: Run) -> list[tuple[str, int]]:
    """Return the nodes to compensate if the run failed again, as (node, iteration) in the order of completion."""
    done = plan.schedule.to_compensate(Visit(*each) for each in run.completed)
    return [(visit.node, visit.visit) for visit in reversed(done)]


def is_kept(run: Run, visit: Visit) -> bool:
    """Return True if an iteration has its output and failed in the evaluation of its conditions."""
    ended = run.node(visit.node).ended
    return ended is not None and ended.visit == visit.visit and ended.output_hash is not None


def state_of(fields: Mapping[str, Any]) -> State:
    """Return the recorded state of a schedule.

    Raises:
        ApplicationError: the state is malformed.
    """
    try:
        over = fields.get("over")
        return State(
            fields["nodes"],
            fields["edges"],
            tuple(fields["visits"]),
            Over(**{**over, "ends": tuple(over.get("ends", ()))}) if over else None,
        )
    except KeyError as error:
        raise impossible("INTERNAL_ERROR", f"the state of the run has no {error}") from None
