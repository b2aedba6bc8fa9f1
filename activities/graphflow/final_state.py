"""The state of a run at its end: nodes to resume, nodes with outputs, nodes to compensate."""

from collections.abc import Mapping
from typing import Any

from activities.failures import permanent_failure
from activities.graphflow.plans import WorkflowPlan
from domain.graphflow.execution.aggregate import WorkflowRun
from domain.graphflow.execution.schedule_state import NodeIteration, RunOutcome, ScheduleState


def nodes_to_compensate(plan: WorkflowPlan, run: WorkflowRun) -> list[tuple[str, int]]:
    """Return the nodes to compensate if the run failed again, as (node, iteration) in the order of completion."""
    done = plan.schedule.nodes_to_compensate(NodeIteration(*each) for each in run.completed)
    return [(visit.node, visit.visit) for visit in reversed(done)]


def has_output(run: WorkflowRun, visit: NodeIteration) -> bool:
    """Return True if an iteration has its output and failed in the evaluation of its conditions."""
    ended = run.node(visit.node).ended
    return ended is not None and ended.visit == visit.visit and ended.output_hash is not None


def state_of(fields: Mapping[str, Any]) -> ScheduleState:
    """Return the recorded state of a schedule.

    Raises:
        ApplicationError: the state is malformed.
    """
    try:
        over = fields.get("over")
        return ScheduleState(
            fields["nodes"],
            fields["edges"],
            tuple(fields["visits"]),
            RunOutcome(**{**over, "ends": tuple(over.get("ends", ()))}) if over else None,
        )
    except KeyError as error:
        raise permanent_failure("INTERNAL_ERROR", f"the state of the run has no {error}") from None
