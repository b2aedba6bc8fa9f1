"""Nodes of runs, begun and ended: templates, outputs and conditions are worked out here, where the texts are."""

from asyncio import to_thread
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar, cast

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.graphflow.asked import Begun, Ended, Ending, Held, Spot, Undone
from activities.graphflow.journal import Decided, Journal
from activities.graphflow.making import Made, Making
from activities.graphflow.outputs import Outcome, Outputs
from activities.graphflow.plans import Plan, Plans
from activities.graphflow.scope import Values, ended_node, scope
from domain.content import ContentStore
from domain.events import Cause
from domain.graphflow import run as runs
from domain.graphflow.definition import MapNode
from domain.graphflow.expressions import BadExpression, evaluate, holds
from domain.graphflow.run import Run
from domain.graphflow.run_events import (
    AttemptFailed,
    ItemEnded,
    NodeBegun,
    NodeCompensated,
    NodeEnd,
    NodeEnded,
    NodeHeld,
)
from domain.graphflow.work import ToolWork, TransformWork
from domain.ledger import Change, Ledger
from domain.tools.ports import Toolbox
from domain.tools.spec import ToolSpec

E = TypeVar("E", NodeBegun, NodeEnded)

FAILED_EXPRESSION = "EXPRESSION_FAILED"
FINAL = frozenset(
    {
        FAILED_EXPRESSION,
        "OUTPUT_TOO_LARGE",
        "BUDGET_EXCEEDED",
        "PAYLOAD_TOO_LARGE",
        "TOOL_UNKNOWN",
        "TOOL_IN_DOUBT",
        "NOT_A_LIST",
        "NOT_A_TIME",
        "TOO_MANY_ITEMS",
        "NotFound",
    }
)
"""Codes of failures that would come again with every attempt, or must not be risked again."""
MOST_OUTPUT = 2_000_000
"""Characters of an output."""


class NodeActivities:
    """All of them are idempotent: a repeat changes nothing and returns what stands."""

    def __init__(
        self,
        ledger: Ledger,
        content: ContentStore,
        toolbox: Toolbox,
        now: Callable[[], datetime],
        *,
        journal: Journal,
        plans: Plans,
        values: Values,
    ) -> None:
        self._ledger = ledger
        self._content = content
        self._toolbox = toolbox
        self._now = now
        self._journal = journal
        self._plans = plans
        self._values = values
        self._outputs = Outputs(ledger, content, values)

    def all(self) -> list[Callable[..., object]]:
        return [self.transform_node, self.begin_node, self.hold_node, self.end_node, self.end_undo]

    @activity.defn(name="transform_node", no_thread_cancel_exception=True)
    def transform_node(self, spot: Spot) -> Ended:
        """Evaluate a transform, or one for each item of a map, from its beginning to its end."""
        plan = self._plan(spot)

        def decide(run: Run) -> Decided:
            try:
                outcome = Outcome("completed", self._transformed(plan, run, spot))
            except BadExpression as error:
                outcome = Outcome("failed", code=FAILED_EXPRESSION, error=error.reason)
            return self._end(plan, run, spot, outcome)

        return self._ended(self._journal.write(_id(spot), decide, key=_key(spot, "end")), spot)

    @activity.defn(name="begin_node")
    async def begin_node(self, spot: Spot) -> Begun:
        """Say what the node's work needs, and record that it has begun.

        Raises:
            ApplicationError: it cannot be done; the type is the failure's code.
            NotFound: a text that it reads was erased.
        """
        work = self._work(spot)
        spec = await self._spec(work.tool) if isinstance(work, ToolWork) else None
        return await to_thread(self._begin, spot, work, spec)

    @activity.defn(name="hold_node", no_thread_cancel_exception=True)
    def hold_node(self, held: Held) -> None:
        """Record that a person has to decide."""
        spot = held.spot
        event = NodeHeld(approval_id=held.approval_id, **self._about(spot))
        self._journal.write(_id(spot), lambda run: (runs.hold(run, event), []), key=f"hold:{held.approval_id}")

    @activity.defn(name="end_node", no_thread_cancel_exception=True)
    def end_node(self, ending: Ending) -> Ended:
        """Store what a node has put out, see which edges are taken, and record its end.

        Raises:
            NotFound: a text was erased.
        """
        spot, plan = ending.spot, self._plan(ending.spot)
        if spot.item is not None:
            return self._end_item(spot, self._outputs.outcome(plan, ending))
        outcome = self._outputs.outcome(plan, ending)
        if ending.again and outcome.status == "failed" and outcome.code not in FINAL:
            failed = AttemptFailed(code=outcome.code or "", error=outcome.error or "", **self._about(spot))
            self._journal.write(_id(spot), lambda run: (runs.fail_attempt(run, failed), []), key=_key(spot, "failed"))
            return Ended("failed", code=outcome.code, error=outcome.error)
        key = _key(spot, "end")
        return self._ended(
            self._journal.write(_id(spot), lambda run: self._end(plan, run, spot, outcome), key=key), spot
        )

    @activity.defn(name="end_undo", no_thread_cancel_exception=True)
    def end_undo(self, undone: Undone) -> None:
        """Record what came of undoing a node."""
        spot = undone.spot
        event = NodeCompensated(
            execution_id=_id(spot),
            node=spot.node,
            visit=spot.visit,
            status="completed" if undone.status == "completed" else "failed",
            error=undone.error,
            **self._cause(spot).fields(),
        )
        done = (spot.node, spot.visit)
        self._journal.write(
            _id(spot), lambda run: ([] if done in run.undone else [event], []), key=_key(spot, "undone")
        )

    def _begin(self, spot: Spot, work: Any, spec: ToolSpec | None) -> Begun:
        plan = self._plan(spot)
        if spot.item is not None and (known := self._item(spot)) and known.status == "completed":
            return Begun(work.type, is_done=True)
        made: list[Made] = []

        def decide(run: Run) -> Decided:
            made[:] = [self._made(plan, run, spot, work, spec)]
            begun = NodeBegun(
                items=made[0].items,
                items_hash=made[0].items_hash,
                child_id=made[0].child_id,
                until=_iso(made[0].begun.until),
                **self._about(spot),
            )
            return runs.begin(run, begun), list(made[0].texts)

        if spot.item is not None or spot.undo:
            only = self._made(plan, self._journal.read(_id(spot), seen=spot.seen), spot, work, spec)
            for text in only.texts:
                self._content.put(text)
            return only.begun
        run = self._journal.write(_id(spot), decide, key=_key(spot, "begin"))
        return self._stands(run, spot, made[0].begun)

    def _stands(self, run: Run, spot: Spot, begun: Begun) -> Begun:
        """What was recorded stands: a repeat waits until the same moment, and goes over the same list."""
        recorded = run.node(spot.node).begun
        if recorded is None or (recorded.visit, recorded.attempt) != (spot.visit, spot.attempt):
            recorded = self._recorded(spot, NodeBegun)
        if recorded is None:
            return replace(begun, seen=run.version)
        until = datetime.fromisoformat(recorded.until) if recorded.until else None
        return replace(begun, until=until, items=recorded.items or 0, seen=run.version)

    def _made(self, plan: Plan, run: Run, spot: Spot, work: Any, spec: ToolSpec | None) -> Made:
        try:
            data = self._data(plan, run, spot)
            return Making(spot, plan, run.known, data, spec).made(work)
        except BadExpression as error:
            raise ApplicationError(error.reason, type=FAILED_EXPRESSION, non_retryable=True) from None

    def _transformed(self, plan: Plan, run: Run, spot: Spot) -> Any:
        node, data = plan.nodes[spot.node], self._data(plan, run, spot)
        if not isinstance(node, MapNode):
            return _set(cast("TransformWork", node), data)
        items = evaluate(node.over, data)
        if not isinstance(items, list):
            raise BadExpression("what the map goes over is no list")
        if len(items) > node.max_items:
            raise BadExpression(f"there are {len(items)} items, and {node.max_items} at most")
        return [self._mapped(node, {**data, node.item: item}) for item in items]

    @staticmethod
    def _mapped(node: MapNode, data: dict[str, Any]) -> Any:
        try:
            return _set(cast("TransformWork", node.node), data)
        except BadExpression:
            if node.on_item_error == "fail":
                raise
            return None

    def _data(self, plan: Plan, run: Run, spot: Spot) -> dict[str, Any]:
        """What the expressions of this attempt read: for an item, the item too; the nodes just skipped as skipped."""
        data = scope(self._values, plan, runs.skip(run, spot.skipped), plan.reads(spot.node), visit=spot.visit)
        node = plan.nodes[spot.node]
        if spot.item is not None and isinstance(node, MapNode):
            begun = run.node(spot.node).begun
            items = self._values.one(_id(spot), (begun.items_hash or "") if begun else "")
            data[node.item] = items[spot.item]
        return data

    def _end(self, plan: Plan, run: Run, spot: Spot, outcome: Outcome) -> Decided:
        """The end of a node: what does not work out, or is too large, is a failure."""
        text = outcome.text(_id(spot))
        if text is not None and len(text.text) > MOST_OUTPUT:
            outcome, text = (
                Outcome("failed", code="OUTPUT_TOO_LARGE", error=f"it has {len(text.text)} characters"),
                None,
            )
        try:
            taken = self._taken(plan, run, spot, outcome)
        except BadExpression as error:
            outcome, text = Outcome("failed", code=FAILED_EXPRESSION, error=f"a condition: {error.reason}"), None
            taken = self._taken(plan, run, spot, outcome)
        if text:
            self._values.keep(_id(spot), (text.hash, outcome.as_text), outcome.value, size=len(text.text))
        event = NodeEnded(
            status=cast("NodeEnd", outcome.status),
            output_hash=text.hash if text else outcome.hash,
            as_text=outcome.as_text,
            taken=taken,
            code=outcome.code,
            error=outcome.error,
            **self._about(spot),
        )
        return runs.end_node(run, event), [text] if text else []

    def _taken(self, plan: Plan, run: Run, spot: Spot, outcome: Outcome) -> tuple[int, ...]:
        """The edges that are taken. After a failure that the run goes on from, what has no value does not hold."""
        conditions = plan.conditions(spot.node)
        if outcome.status != "completed" and plan.nodes[spot.node].on_error != "continue":
            return ()
        if not conditions:
            return plan.schedule.taken(spot.node, ())
        data = self._data(plan, run, spot)
        error = {"code": outcome.code, "message": outcome.error} if outcome.code else None
        data["nodes"][spot.node] = ended_node(outcome.status, spot.visit, outcome.value, error)
        holding = [at for at, condition in conditions.items() if self._holds(condition, data, outcome.status)]
        return plan.schedule.taken(spot.node, holding)

    @staticmethod
    def _holds(condition: str, data: dict[str, Any], status: str) -> bool:
        try:
            return holds(condition, data)
        except BadExpression:
            if status == "completed":
                raise
            return False

    def _end_item(self, spot: Spot, outcome: Outcome) -> Ended:
        text = outcome.text(_id(spot))
        stream = runs.item_stream(_id(spot), spot.node, spot.visit, spot.item or 0)
        event = ItemEnded(
            execution_id=_id(spot),
            node=spot.node,
            visit=spot.visit,
            item=spot.item or 0,
            attempt=spot.attempt,
            status=cast("NodeEnd", outcome.status),
            output_hash=text.hash if text else outcome.hash,
            as_text=outcome.as_text,
            code=outcome.code,
            error=outcome.error,
            **self._cause(spot).fields(),
        )
        known = self._ledger.read(stream) if spot.attempt > 1 else []
        change = Change(stream, len(known), [event])
        stands: ItemEnded | None = event
        if self._ledger.append(change, key=f"{stream}:{spot.attempt}", content=[text] if text else []) is None:
            stands = self._item(spot)
        ended = stands or event
        return Ended(ended.status, code=ended.code, error=ended.error)

    def _item(self, spot: Spot) -> ItemEnded | None:
        """The newest end of an item."""
        known = self._ledger.read(runs.item_stream(_id(spot), spot.node, spot.visit, spot.item or 0))
        return next((event for event in reversed(known) if isinstance(event, ItemEnded)), None)

    def _ended(self, run: Run, spot: Spot) -> Ended:
        """The end of this very attempt: a run that is gone through again may be far ahead in the ledger."""
        ended = run.node(spot.node).ended
        if ended is None or (ended.visit, ended.attempt) != (spot.visit, spot.attempt):
            ended = self._recorded(spot, NodeEnded)
        if ended is None:
            raise LookupError(f"{spot.node} was ended and has no end")
        return Ended(ended.status, list(ended.taken), ended.code, ended.error, final=True)

    def _recorded(self, spot: Spot, kind: type[E]) -> E | None:
        """What is recorded of an attempt, read from its beginning."""
        known = (event for event in self._ledger.read(runs.stream(_id(spot))) if isinstance(event, kind))
        place = (spot.node, spot.visit, spot.attempt)
        return next((event for event in known if (event.node, event.visit, event.attempt) == place), None)

    async def _spec(self, name: str) -> ToolSpec | None:
        return next(iter(await self._toolbox.offered([name])), None)

    def _work(self, spot: Spot) -> Any:
        return self._plan(spot).work(spot.node, item=spot.item is not None, undo=spot.undo)

    def _plan(self, spot: Spot) -> Plan:
        return self._plans.plan(spot.asked.workflow_id, spot.asked.version)

    def _about(self, spot: Spot) -> dict[str, Any]:
        return {
            "execution_id": _id(spot),
            "node": spot.node,
            "visit": spot.visit,
            "attempt": spot.attempt,
            "skipped": tuple(spot.skipped),
            **self._cause(spot).fields(),
        }

    def _cause(self, spot: Spot) -> Cause:
        return Cause(spot.asked.key_id, spot.asked.because, self._now())


def _set(work: TransformWork, data: dict[str, Any]) -> dict[str, Any]:
    return {name: evaluate(expression, data) for name, expression in work.set.items()}


def _id(spot: Spot) -> str:
    return spot.asked.execution_id


def _key(spot: Spot, what: str) -> str:
    return f"{spot.node}:{spot.visit}:{spot.attempt}:{what}"


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
