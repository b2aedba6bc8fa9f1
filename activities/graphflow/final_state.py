"""Where a run stood when it ended: what is to be gone on with, what has its output, what would be undone."""

from collections.abc import Mapping
from typing import Any

from activities.graphflow.node_input import impossible
from activities.graphflow.plans import Plan
from domain.graphflow.execution.aggregate import Run
from domain.graphflow.execution.scheduler import Over, State, Visit


def to_undo(plan: Plan, run: Run) -> list[tuple[str, int]]:
    """What would be undone if the run failed again, in the order of completion."""
    done = plan.schedule.to_compensate(Visit(*each) for each in run.completed)
    return [(visit.node, visit.visit) for visit in reversed(done)]


def is_kept(run: Run, visit: Visit) -> bool:
    """Whether a visit has its output, and failed at what follows from it."""
    ended = run.node(visit.node).ended
    return ended is not None and ended.visit == visit.visit and ended.output_hash is not None


def state_of(fields: Mapping[str, Any]) -> State:
    """The state of a schedule as it was recorded.

    Raises:
        ApplicationError: it cannot be read.
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
