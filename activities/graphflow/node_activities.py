"""Starts and ends nodes of runs: templates, outputs and conditions are evaluated here, where the texts are."""

from asyncio import to_thread
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from temporalio import activity

from activities.graphflow import attempts as spots
from activities.graphflow.context import GraphParts
from activities.graphflow.execution_stream import RunChanges
from activities.graphflow.messages import (
    AttemptEnd,
    AttemptStart,
    CompensationResult,
    EndNodeRequest,
    NodeAttempt,
    NodeHold,
)
from activities.graphflow.node_end import FINAL, item_end, item_key
from activities.graphflow.node_input import NodeInput
from activities.graphflow.node_start import FAILED_EXPRESSION
from activities.graphflow.outputs import AttemptOutcome
from activities.graphflow.plans import WorkflowPlan
from domain.graphflow.definition.model import MapNode
from domain.graphflow.definition.node_types import ToolWork, TransformWork
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.aggregate import WorkflowRun
from domain.graphflow.execution.events import AttemptFailed, NodeCompensated, NodeHeld
from domain.graphflow.expressions.cel import BadExpression, evaluate
from domain.tools.ports import Toolbox
from domain.tools.spec import ToolSpec


class NodeActivities:
    """Ledger commands of nodes. All are idempotent: a repeat changes nothing and returns the current state."""

    def __init__(self, parts: GraphParts, toolbox: Toolbox, now: Callable[[], datetime]) -> None:
        self._ledger = parts.ledger
        self._content = parts.content
        self._toolbox = toolbox
        self._now = now
        self._journal = parts.journal
        self._begins = parts.begins
        self._ends = parts.ends
        self._outputs = parts.outputs
        self._undoing = parts.undoing

    def all(self) -> list[Callable[..., object]]:
        return [self.transform_node, self.begin_node, self.hold_node, self.end_node, self.end_undo]

    @activity.defn(name="transform_node", no_thread_cancel_exception=True)
    def transform_node(self, spot: NodeAttempt) -> AttemptEnd:
        """Evaluate a transform, or one for each item of a map, from start to end."""
        plan = self._begins.plan(spot)

        def decide(run: WorkflowRun) -> RunChanges:
            try:
                outcome = AttemptOutcome("completed", self._transform(plan, run, spot))
            except BadExpression as error:
                outcome = AttemptOutcome("failed", code=FAILED_EXPRESSION, error=error.reason)
            return self._ends.node(plan, run, spot, outcome)

        return self._record_end(spot, decide)

    @activity.defn(name="begin_node")
    async def begin_node(self, spot: NodeAttempt) -> AttemptStart:
        """Return the input of the node's work, and record its start.

        Raises:
            ApplicationError: it cannot be done; the type is the failure code.
            NotFound: a required text was erased.
        """
        work = self._begins.work(spot)
        if work is None:
            return AttemptStart("undo", undo=await to_thread(self._undoing.children, self._begins.plan(spot), spot))
        spec = await self._spec(work.tool) if isinstance(work, ToolWork) else None
        return await to_thread(self._begin, spot, work, spec)

    @activity.defn(name="hold_node", no_thread_cancel_exception=True)
    def hold_node(self, held: NodeHold) -> None:
        """Record that the node waits for an approval."""
        spot = held.spot
        event = NodeHeld(approval_id=held.approval_id, **spots.about(spot, self._now()))
        key = f"hold:{held.approval_id}"
        self._journal.write(spots.owner(spot), lambda run: (runs.hold(run, event), []), key=key)

    @activity.defn(name="end_node", no_thread_cancel_exception=True)
    def end_node(self, ending: EndNodeRequest) -> AttemptEnd:
        """Store a node's output, evaluate its outgoing conditions, and record its end.

        Raises:
            NotFound: a text was erased.
        """
        spot, plan = ending.spot, self._begins.plan(ending.spot)
        outcome = self._outputs.outcome(plan, ending)
        if spot.item is not None:
            return self._end_item(spot, outcome)
        if ending.again and outcome.status == "failed" and outcome.code not in FINAL:
            return self._fail_attempt(spot, outcome)
        return self._record_end(spot, lambda run: self._ends.node(plan, run, spot, outcome))

    @activity.defn(name="end_undo", no_thread_cancel_exception=True)
    def end_undo(self, undone: CompensationResult) -> None:
        """Record the result of compensating a node."""
        spot = undone.spot
        event = NodeCompensated(
            execution_id=spots.owner(spot),
            node=spot.node,
            visit=spot.visit,
            status="completed" if undone.status == "completed" else "failed",
            error=undone.error,
            **spots.cause(spot, self._now()).fields(),
        )
        done, key = (spot.node, spot.visit), spots.key(spot, "undone")
        self._journal.write(spots.owner(spot), lambda run: ([] if done in run.undone else [event], []), key=key)

    def _begin(self, spot: NodeAttempt, work: Any, spec: ToolSpec | None) -> AttemptStart:
        plan, owner = self._begins.plan(spot), spots.owner(spot)
        if spot.item is not None and (known := self._ends.recorded_item_end(spot)) and known.status == "completed":
            return AttemptStart(work.type, is_done=True)
        if spot.item is not None or spot.undo:
            only = self._begins.build_input(plan, self._journal.read(owner, seen=spot.seen), spot, work, spec)
            for text in only.texts:
                self._content.put(text)
            return only.begun
        made: list[NodeInput] = []

        def decide(run: WorkflowRun) -> RunChanges:
            # replaced on each try: a version conflict decides again on a newer run
            made[:] = [self._begins.build_input(plan, run, spot, work, spec)]
            return runs.begin(run, self._begins.start_event(spot, made[0])), list(made[0].texts)

        run = self._journal.write(owner, decide, key=spots.key(spot, "begin"))
        return self._begins.recorded_start(run, spot, made[0].begun)

    def _transform(self, plan: WorkflowPlan, run: WorkflowRun, spot: NodeAttempt) -> Any:
        node, data = plan.nodes[spot.node], self._begins.data(plan, run, spot)
        if not isinstance(node, MapNode):
            return _evaluate_set(cast("TransformWork", node), data)
        items = evaluate(node.over, data)
        if not isinstance(items, list):
            raise BadExpression("what the map goes over is no list")
        if len(items) > node.max_items:
            raise BadExpression(f"there are {len(items)} items, and {node.max_items} at most")
        return [_evaluate_item(node, {**data, node.item: item}) for item in items]

    def _fail_attempt(self, spot: NodeAttempt, outcome: AttemptOutcome) -> AttemptEnd:
        """Record a failed attempt that will be followed by another one."""
        failed = AttemptFailed(code=outcome.code or "", error=outcome.error or "", **spots.about(spot, self._now()))
        key = spots.key(spot, "failed")
        self._journal.write(spots.owner(spot), lambda run: (runs.fail_attempt(run, failed), []), key=key)
        return AttemptEnd("failed", code=outcome.code, error=outcome.error)

    def _end_item(self, spot: NodeAttempt, outcome: AttemptOutcome) -> AttemptEnd:
        change, event, texts = self._ends.item(spot, outcome)
        if self._ledger.append(change, key=item_key(spot), content=texts) is None:
            event = self._ends.recorded_item_end(spot) or event
        return item_end(event)

    def _record_end(self, spot: NodeAttempt, decide: Callable[[WorkflowRun], RunChanges]) -> AttemptEnd:
        run = self._journal.write(spots.owner(spot), decide, key=spots.key(spot, "end"))
        ended = self._ends.recorded_end(run, spot)
        if ended is None:
            raise LookupError(f"{spot.node} was ended and has no end")
        return ended

    async def _spec(self, name: str) -> ToolSpec | None:
        return next(iter(await self._toolbox.offered_specs([name])), None)


def _evaluate_set(work: TransformWork, data: dict[str, Any]) -> dict[str, Any]:
    return {name: evaluate(expression, data) for name, expression in work.set.items()}


def _evaluate_item(node: MapNode, data: dict[str, Any]) -> Any:
    try:
        return _evaluate_set(cast("TransformWork", node.node), data)
    except BadExpression:
        if node.on_item_error == "fail":
            raise
        return None
