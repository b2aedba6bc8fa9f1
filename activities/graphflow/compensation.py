"""Compensation of nodes that declare none: the run of another workflow is compensated node by node."""

from collections.abc import Iterator

from activities.graphflow import attempts as spots
from activities.graphflow.execution_stream import RunStreams
from activities.graphflow.messages import NodeAttempt, RunRequest, request_of
from activities.graphflow.plans import WorkflowPlan, WorkflowPlans
from activities.graphflow.work_ids import child_id
from domain.graphflow.definition.model import MapNode
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.aggregate import WorkflowRun
from domain.graphflow.execution.events import ItemEnded, NodeEnded
from domain.graphflow.execution.schedule_state import NodeIteration
from domain.ledger import Ledger


class Compensations:
    """Finds the child runs of a node's iteration. It records nothing."""

    def __init__(self, ledger: Ledger, journal: RunStreams, plans: WorkflowPlans) -> None:
        self._ledger = ledger
        self._journal = journal
        self._plans = plans

    def children(self, plan: WorkflowPlan, spot: NodeAttempt) -> list[RunRequest]:
        """Return the child runs of this iteration that completed and have nodes to compensate, latest first."""
        found = (self._child(spot, child) for child in self._ids(plan, spot))
        return [asked for asked in found if asked is not None][::-1]

    def iterations_to_undo(self, execution_id: str) -> list[NodeIteration]:
        """Return the completed nodes of a run that are still to be compensated, in the order of completion."""
        run = self._journal.read_latest(execution_id)
        plan = self._plans.plan(run.start_event.tenant_id, run.start_event.workflow_id, run.start_event.version)
        done = [NodeIteration(*each) for each in run.completed if each not in run.undone]
        return [*plan.schedule.nodes_to_compensate(done)][::-1]

    def _child(self, spot: NodeAttempt, execution_id: str) -> RunRequest | None:
        run: WorkflowRun = self._journal.read_latest(execution_id)
        if run.started is None or run.ended is None or run.ended.status != "completed":
            return None  # it never started, or it has compensated itself
        return request_of(run.started, depth=spot.asked.depth + 1) if self.iterations_to_undo(execution_id) else None

    def _ids(self, plan: WorkflowPlan, spot: NodeAttempt) -> Iterator[str]:
        owner, node = spots.owner(spot), plan.nodes[spot.node]
        ended = self._journal.find_completion(owner, spot.node, spot.visit)
        if ended is None:
            return
        if not isinstance(node, MapNode):
            yield child_id(owner, spot.node, spot.visit, None, ended.attempt)
            return
        for item, attempt in self._items(owner, ended).items():
            yield child_id(owner, spot.node, spot.visit, item, attempt)

    def _items(self, owner: str, ended: NodeEnded) -> dict[int, int]:
        """Return the completed items of a map, with the attempt in which each completed."""
        begun = self._journal.find_start(owner, ended)
        count = begun.items or 0 if begun else 0
        streams = [runs.item_stream(owner, ended.node, ended.visit, item) for item in range(count)]
        known = self._ledger.read_many(streams) if streams else {}
        done = (event for name in streams for event in known.get(name, ()) if isinstance(event, ItemEnded))
        return {event.item: event.attempt for event in done if event.status == "completed"}
