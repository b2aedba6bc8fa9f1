"""Decides the starts of attempts at nodes: the variables of their expressions, and the input of their work."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from activities.failures import permanent_failure
from activities.graphflow import attempts as spots
from activities.graphflow.execution_stream import RunStreams
from activities.graphflow.expression_data import Values, expression_scope
from activities.graphflow.messages import AttemptStart, NodeAttempt
from activities.graphflow.node_input import NodeInput, NodeInputBuilder
from activities.graphflow.plans import WorkflowPlan, WorkflowPlans
from domain.graphflow.definition.model import MapNode
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.aggregate import WorkflowRun
from domain.graphflow.execution.events import NodeBegun
from domain.graphflow.expressions.cel import BadExpression
from domain.tenant_ids import tenant_of
from domain.tools.spec import ToolSpec

FAILED_EXPRESSION = "EXPRESSION_FAILED"


class AttemptStartDecider:
    """Decides the starts of attempts. It records nothing."""

    def __init__(self, journal: RunStreams, plans: WorkflowPlans, values: Values, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._plans = plans
        self._values = values
        self._now = now

    def plan(self, spot: NodeAttempt) -> WorkflowPlan:
        """Return the version that the run pins.

        Raises:
            NotFound: there is none.
        """
        return self._plans.plan(tenant_of(spot.asked.execution_id), spot.asked.workflow_id, spot.asked.version)

    def work(self, spot: NodeAttempt) -> Any:
        """Return the work to do."""
        return self.plan(spot).work(spot.node, item=spot.item is not None, undo=spot.undo)

    def data(self, plan: WorkflowPlan, run: WorkflowRun, spot: NodeAttempt) -> dict[str, Any]:
        """Return the variables of an attempt's expressions: for an item, the item too; nodes just skipped as skipped.

        Raises:
            NotFound: a text was erased.
        """
        if spot.undo:  # compensate with the data of this iteration, not of a later one
            run = self._journal.read_until(spots.owner(spot), spot.node, spot.visit)
        data = expression_scope(
            self._values, plan, runs.skip(run, spot.skipped), plan.reads(spot.node), visit=spot.visit
        )
        node = plan.nodes[spot.node]
        if spot.item is not None and isinstance(node, MapNode):
            begun = run.node(spot.node).begun
            items = self._values.get_one(spots.owner(spot), (begun.items_hash or "") if begun else "")
            data[node.item] = items[spot.item]
        return data

    def build_input(
        self, plan: WorkflowPlan, run: WorkflowRun, spot: NodeAttempt, work: Any, spec: ToolSpec | None = None
    ) -> NodeInput:
        """Build the input of the work.

        Raises:
            ApplicationError: it cannot be done; the type is the failure code.
            NotFound: a text was erased.
        """
        try:
            return NodeInputBuilder(spot, plan, run.start_event, self.data(plan, run, spot), spec).build(work)
        except BadExpression as error:
            raise permanent_failure(FAILED_EXPRESSION, error.reason) from None

    def start_event(self, spot: NodeAttempt, made: NodeInput) -> NodeBegun:
        """Build the event that starts the attempt."""
        until = made.begun.until
        return NodeBegun(
            items=made.items,
            items_hash=made.items_hash,
            child_id=made.child_id,
            until=until.isoformat() if until else None,
            **spots.about(spot, self._now()),
        )

    def recorded_start(self, run: WorkflowRun, spot: NodeAttempt, begun: AttemptStart) -> AttemptStart:
        """Return the recorded start: a repeat waits until the same time, and iterates over the same list."""
        stands = run.node(spot.node).begun
        if stands is None or (stands.visit, stands.attempt) != (spot.visit, spot.attempt):
            stands = self._journal.find_event(spots.owner(spot), NodeBegun, spots.place(spot))
        if stands is None:
            return replace(begun, seen=run.version)
        until = datetime.fromisoformat(stands.until) if stands.until else None
        return replace(begun, until=until, items=stands.items or 0, seen=run.version)
