"""Decides the ends of attempts at nodes and items: the edges taken, the stored output, and the events."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from activities.graphflow import attempts as spots
from activities.graphflow.execution_stream import RunChanges, RunStreams
from activities.graphflow.expression_data import Values, ended_node
from activities.graphflow.messages import AttemptEnd, NodeAttempt
from activities.graphflow.node_start import FAILED_EXPRESSION, AttemptStartDecider
from activities.graphflow.outputs import AttemptOutcome
from activities.graphflow.plans import WorkflowPlan
from domain.content import Content
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.aggregate import WorkflowRun
from domain.graphflow.execution.events import ItemEnded, NodeEnd, NodeEnded
from domain.graphflow.expressions.cel import BadExpression, is_true
from domain.json_schema.depth import DEEPEST, is_too_deep
from domain.ledger import Change, Ledger

MOST_OUTPUT = 2_000_000
"""Limit on an output, in characters."""
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
"""Failure codes that are not retried: they would recur with every attempt, or the work must not be done twice."""


class AttemptEndDecider:
    """Decides the ends of attempts. It records nothing."""

    def __init__(
        self,
        ledger: Ledger,
        journal: RunStreams,
        begins: AttemptStartDecider,
        values: Values,
        now: Callable[[], datetime],
    ) -> None:
        self._ledger = ledger
        self._journal = journal
        self._begins = begins
        self._values = values
        self._now = now

    def node(self, plan: WorkflowPlan, run: WorkflowRun, spot: NodeAttempt, outcome: AttemptOutcome) -> RunChanges:
        """Decide the end of a node: a failed condition or an output over the limit is a failure.

        Raises:
            NotFound: a text was erased.
        """
        outcome, text = _to_storable(outcome, spots.owner(spot))
        try:
            taken = self._taken_edges(plan, run, spot, outcome)
        except BadExpression as error:
            # the output may have cost money: keep it, so that reopening only evaluates the conditions again
            put_out = text.hash if text else outcome.hash
            outcome = replace(outcome, status="failed", code=FAILED_EXPRESSION, error=f"a condition: {error.reason}")
            taken = self._taken_edges(plan, run, spot, replace(outcome, value=None))
            outcome = replace(outcome, hash=put_out)
        if text:
            self._values.cache(spots.owner(spot), (text.hash, outcome.as_text), outcome.value, size=len(text.text))
        event = NodeEnded(
            status=cast("NodeEnd", outcome.status),
            output_hash=text.hash if text else outcome.hash,
            as_text=outcome.as_text,
            taken=taken,
            code=outcome.code,
            error=outcome.error,
            **spots.about(spot, self._now()),
        )
        return runs.end_node(run, event), [text] if text else []

    def item(self, spot: NodeAttempt, outcome: AttemptOutcome) -> tuple[Change, ItemEnded, list[Content]]:
        """Decide the end of an item: the change to append, its event, and its texts."""
        outcome, text = _to_storable(outcome, spots.owner(spot))
        event = ItemEnded(
            execution_id=spots.owner(spot),
            node=spot.node,
            visit=spot.visit,
            item=spot.item or 0,
            attempt=spot.attempt,
            status=cast("NodeEnd", outcome.status),
            output_hash=text.hash if text else outcome.hash,
            as_text=outcome.as_text,
            code=outcome.code,
            error=outcome.error,
            **spots.cause(spot, self._now()).fields(),
        )
        stream = _stream(spot)
        known = self._ledger.read(stream) if spot.attempt > 1 else []
        return Change(stream, len(known), [event]), event, [text] if text else []

    def recorded_item_end(self, spot: NodeAttempt) -> ItemEnded | None:
        """Return the latest recorded end of an item."""
        known = self._ledger.read(_stream(spot))
        return next((event for event in reversed(known) if isinstance(event, ItemEnded)), None)

    def recorded_end(self, run: WorkflowRun, spot: NodeAttempt) -> AttemptEnd | None:
        """Return the recorded end of exactly this attempt: for a replayed workflow the ledger may be far ahead."""
        stands = run.node(spot.node).ended
        if stands is None or (stands.visit, stands.attempt) != (spot.visit, spot.attempt):
            stands = self._journal.find_event(spots.owner(spot), NodeEnded, spots.place(spot))
        if stands is None:
            return None
        return AttemptEnd(stands.status, list(stands.taken), stands.code, stands.error, final=True)

    def _taken_edges(
        self, plan: WorkflowPlan, run: WorkflowRun, spot: NodeAttempt, outcome: AttemptOutcome
    ) -> tuple[int, ...]:
        """Return the edges to take. After a failure with `on_error: continue`, a condition without a value is false."""
        conditions = plan.conditions(spot.node)
        if outcome.status != "completed" and plan.nodes[spot.node].on_error != "continue":
            return ()
        if not conditions:
            return plan.schedule.edges_to_take(spot.node, ())
        data = self._begins.data(plan, run, spot)
        error = {"code": outcome.code, "message": outcome.error} if outcome.code else None
        data["nodes"][spot.node] = ended_node(outcome.status, spot.visit, outcome.value, error)
        holding = [at for at, condition in conditions.items() if _is_true(condition, data, outcome.status)]
        return plan.schedule.edges_to_take(spot.node, holding)


def _to_storable(outcome: AttemptOutcome, owner: str) -> tuple[AttemptOutcome, Content | None]:
    """Return the outcome as it can be stored, and the text that is not stored yet."""
    if not outcome.as_text and is_too_deep(outcome.value):
        return AttemptOutcome("failed", code="OUTPUT_INVALID", error=f"it is nested more than {DEEPEST} deep"), None
    text = outcome.text(owner)
    if text is not None and len(text.text) > MOST_OUTPUT:
        return AttemptOutcome("failed", code="OUTPUT_TOO_LARGE", error=f"it has {len(text.text):,} characters"), None
    return outcome, text


def item_key(spot: NodeAttempt) -> str:
    """Return the idempotency key of an item's end: one for each attempt."""
    return f"{_stream(spot)}:{spot.attempt}"


def item_end(event: ItemEnded) -> AttemptEnd:
    """Return the end of an item as its workflow receives it."""
    return AttemptEnd(event.status, code=event.code, error=event.error)


def _stream(spot: NodeAttempt) -> str:
    return runs.item_stream(spots.owner(spot), spot.node, spot.visit, spot.item or 0)


def _is_true(condition: str, data: dict[str, Any], status: str) -> bool:
    try:
        return is_true(condition, data)
    except BadExpression:
        if status == "completed":
            raise
        return False
