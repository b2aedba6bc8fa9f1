"""Runs an agent's node from start to end in one activity, where a single model answer is enough.

The node's start is appended with the reservation of the model call, its end with the settlement, so that neither needs
an append or a workflow step of its own.
"""

from asyncio import to_thread
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import structlog
from temporalio import activity

from activities.chat.messages import StepRequest, StepResult
from activities.chat.model_step import ModelStepActivities
from activities.costs.joint_append import JointAppend, JointChanges
from activities.failures import permanent_failure
from activities.graphflow import attempts as spots
from activities.graphflow.context import GraphParts
from activities.graphflow.execution_stream import RunAppend, RunDecision
from activities.graphflow.messages import AgentNodeResult, AttemptEnd, AttemptStart, NodeAttempt
from activities.graphflow.node_end import item_end
from activities.graphflow.node_input import NodeInput
from activities.graphflow.outputs import answer_outcome
from activities.graphflow.plans import WorkflowPlan
from activities.heartbeat import send_heartbeats
from domain.chat.events import TurnAnswered
from domain.errors import DomainError
from domain.events import Event
from domain.graphflow.execution import aggregate as runs
from domain.message_parts import MessagePart

_NO_CHANGES = JointChanges()


class AgentNodeActivities:
    """Idempotent: a settled reply and a recorded end are returned as they are."""

    def __init__(self, thinking: ModelStepActivities, parts: GraphParts) -> None:
        self._thinking = thinking
        self._parts = parts

    def all(self) -> list[Callable[..., object]]:
        return [self.answer_node]

    @activity.defn(name="answer_node")
    async def answer_node(self, spot: NodeAttempt) -> AgentNodeResult:
        r"""Have the agent of a node, or of a map's item, answer. A reply that needs more steps is returned to continue.

        Raises:\n    ApplicationError: it cannot be done, or the model gave no answer; the type is the failure code.\n
        NotFound: a required text was erased.

        Raises:
            ApplicationError: it cannot be done, or the model gave no answer; the type is the failure's code.
            NotFound: a text that it reads was erased.
        """
        with send_heartbeats():
            begun = await to_thread(self._load_input, spot)
            if begun is None:
                return AgentNodeResult(AttemptEnd("completed"))
            plan, made = begun
            node = (
                _ItemAppend(self._parts, plan, spot)
                if spot.item is not None
                else _NodeAppend(self._parts, plan, spot, made)
            )
            answer = await self._thinking.step(_step_request(spot, made), node)
            ended = node.end or await to_thread(self._recorded_end, spot, answer, made.begun)
            return AgentNodeResult(ended) if ended else AgentNodeResult(begun=made.begun, answer=answer)

    def _load_input(self, spot: NodeAttempt) -> tuple[WorkflowPlan, NodeInput] | None:
        """Return the input of the work; None for an item that has ended already."""
        parts = self._parts
        if spot.item is not None and (known := parts.ends.recorded_item_end(spot)) and known.status == "completed":
            return None
        plan = parts.begins.plan(spot)
        run = parts.journal.read(spots.owner(spot), seen=spot.seen)
        return plan, parts.begins.build_input(plan, run, spot, parts.begins.work(spot))

    def _recorded_end(self, spot: NodeAttempt, answer: StepResult, begun: AttemptStart) -> AttemptEnd | None:
        """Return the end that was recorded with a reply settled by an earlier attempt."""
        if answer.tool_calls or answer.problem or begun.hold:
            return None
        if spot.item is None:
            return self._parts.ends.recorded_end(self._parts.journal.read(spots.owner(spot)), spot)
        known = self._parts.ends.recorded_item_end(spot)
        return item_end(known) if known and known.attempt == spot.attempt else None


class _NodeAppend(JointAppend):
    """The run's events that are appended with a node's model call. `end` is set once the node has ended with it."""

    def __init__(self, parts: GraphParts, plan: WorkflowPlan, spot: NodeAttempt, made: NodeInput) -> None:
        self.end: AttemptEnd | None = None
        self._parts = parts
        self._plan = plan
        self._spot = spot
        self._made = made
        self._writing = parts.journal.open_writer(spots.owner(spot))

    def gate(self) -> AbstractContextManager[object]:
        return self._writing

    def reservation_changes(self, *, fresh: bool) -> JointChanges:
        begun = self._parts.begins.start_event(self._spot, self._made)
        return self._changes(lambda run: (runs.begin(run, begun), []), fresh=fresh)

    def settlement_changes(self, turn: Sequence[Event], text: str, *, fresh: bool) -> JointChanges:
        spot, parts = self._spot, self._parts
        if (output_hash := _answer_in(turn)) is None:
            return _NO_CHANGES
        outcome = answer_outcome(self._plan, spot, text, output_hash)
        if outcome.status != "completed":
            return _NO_CHANGES
        try:
            return self._changes(
                lambda run: parts.ends.node(self._plan, run, spot, outcome), fresh=fresh, then=self._has_ended
            )
        except DomainError as refusal:  # settle what was paid; the workflow records the end itself
            structlog.get_logger("answering").warning("no end yet", node=spot.node, reason=refusal.message)
            return _NO_CHANGES

    def _changes(
        self, decide: RunDecision, *, fresh: bool, then: Callable[[RunAppend], None] | None = None
    ) -> JointChanges:
        writing = self._writing
        entry = writing.entry(decide, fresh=fresh)

        def mark_appended() -> None:
            writing.mark_appended(entry)
            if then is not None:
                then(entry)

        return JointChanges(entry.changes, entry.content, entry.underway, mark_appended)

    def _has_ended(self, entry: RunAppend) -> None:
        self.end = self._parts.ends.recorded_end(entry.run, self._spot)


class _ItemAppend(JointAppend):
    """The same for an item of a map, which has a stream of its own."""

    def __init__(self, parts: GraphParts, plan: WorkflowPlan, spot: NodeAttempt) -> None:
        self.end: AttemptEnd | None = None
        self._parts = parts
        self._plan = plan
        self._spot = spot

    def gate(self) -> AbstractContextManager[object]:
        return nullcontext()

    def reservation_changes(self, *, fresh: bool) -> JointChanges:  # noqa: ARG002  (as the protocol has it)
        return _NO_CHANGES

    def settlement_changes(self, turn: Sequence[Event], text: str, *, fresh: bool) -> JointChanges:  # noqa: ARG002  (the same)
        if (output_hash := _answer_in(turn)) is None:
            return _NO_CHANGES
        outcome = answer_outcome(self._plan, self._spot, text, output_hash)
        if outcome.status != "completed":
            return _NO_CHANGES
        change, event, texts = self._parts.ends.item(self._spot, outcome)

        def mark_appended() -> None:
            self.end = item_end(event)

        return JointChanges([change], texts, appended=mark_appended)


def _step_request(spot: NodeAttempt, made: NodeInput) -> StepRequest:
    begun, asked = made.begun, spot.asked
    if begun.turn is None:
        raise permanent_failure("UNSUPPORTED_NODE", f"{spot.node} is no agent's")
    return StepRequest(
        turn=begun.turn,
        workflow_id=asked.root,
        visit=spot.attempt,
        first=begun.turn.turn,
        project_id=asked.project_id,
        parts=[MessagePart(text=text.text) for text in made.texts],
        shape=begun.shape,
        tools=begun.tools,
        is_held=begun.hold is not None,
        budget_usd=asked.budget_usd,
        may_move=spot.may_move,
    )


def _answer_in(turn: Sequence[Event]) -> str | None:
    """Return the hash of the answer that ends a turn, if it is among these events."""
    return next((event.reply_hash for event in turn if isinstance(event, TurnAnswered)), None)
