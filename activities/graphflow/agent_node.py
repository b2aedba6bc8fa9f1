"""Runs an agent's node from start to end in one activity, where a single model answer is enough.

The node's start is appended with the reservation of the model call, its end with the settlement, so that neither needs
an append or a workflow step of its own.
"""

from asyncio import to_thread
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import structlog
from temporalio import activity

from activities.chat.messages import Answer, Thought
from activities.chat.model_step import Thinking
from activities.costs.joint_append import Beside, Written
from activities.graphflow import attempts as spots
from activities.graphflow.context import GraphParts
from activities.graphflow.execution_stream import Decide, Entry
from activities.graphflow.messages import Answered, Begun, Ended, Spot
from activities.graphflow.node_end import of_item
from activities.graphflow.node_input import Made, impossible
from activities.graphflow.outputs import answered
from activities.graphflow.plans import Plan
from activities.heartbeat import beating
from domain.chat.events import TurnAnswered
from domain.errors import Refused
from domain.events import Event
from domain.graphflow.execution import aggregate as runs
from domain.message_parts import Part

_NOTHING = Written()


class Answering:
    """Idempotent: a settled reply and a recorded end are returned as they are."""

    def __init__(self, thinking: Thinking, parts: GraphParts) -> None:
        self._thinking = thinking
        self._parts = parts

    def all(self) -> list[Callable[..., object]]:
        return [self.answer_node]

    @activity.defn(name="answer_node")
    async def answer_node(self, spot: Spot) -> Answered:
        r"""Have the agent of a node, or of a map's item, answer. A reply that needs more steps is returned to continue.

        Raises:\n    ApplicationError: it cannot be done, or the model gave no answer; the type is the failure code.\n
        NotFound: a required text was erased.

        Raises:
            ApplicationError: it cannot be done, or the model gave no answer; the type is the failure's code.
            NotFound: a text that it reads was erased.
        """
        with beating():
            begun = await to_thread(self._begun, spot)
            if begun is None:
                return Answered(Ended("completed"))
            plan, made = begun
            node = _Item(self._parts, plan, spot) if spot.item is not None else _Node(self._parts, plan, spot, made)
            answer = await self._thinking.step(_thought(spot, made), node)
            ended = node.end or await to_thread(self._standing, spot, answer, made.begun)
            return Answered(ended) if ended else Answered(begun=made.begun, answer=answer)

    def _begun(self, spot: Spot) -> tuple[Plan, Made] | None:
        """Return the input of the work; None for an item that has ended already."""
        parts = self._parts
        if spot.item is not None and (known := parts.ends.standing_item(spot)) and known.status == "completed":
            return None
        plan = parts.begins.plan(spot)
        run = parts.journal.read(spots.owner(spot), seen=spot.seen)
        return plan, parts.begins.made(plan, run, spot, parts.begins.work(spot))

    def _standing(self, spot: Spot, answer: Answer, begun: Begun) -> Ended | None:
        """Return the end that was recorded with a reply settled by an earlier attempt."""
        if answer.tool_calls or answer.problem or begun.hold:
            return None
        if spot.item is None:
            return self._parts.ends.standing(self._parts.journal.read(spots.owner(spot)), spot)
        known = self._parts.ends.standing_item(spot)
        return of_item(known) if known and known.attempt == spot.attempt else None


class _Node(Beside):
    """The run's events that are appended with a node's model call. `end` is set once the node has ended with it."""

    def __init__(self, parts: GraphParts, plan: Plan, spot: Spot, made: Made) -> None:
        self.end: Ended | None = None
        self._parts = parts
        self._plan = plan
        self._spot = spot
        self._made = made
        self._writing = parts.journal.writing(spots.owner(spot))

    def gate(self) -> AbstractContextManager[object]:
        return self._writing

    def begun(self, *, fresh: bool) -> Written:
        begun = self._parts.begins.event(self._spot, self._made)
        return self._written(lambda run: (runs.begin(run, begun), []), fresh=fresh)

    def ended(self, turn: Sequence[Event], text: str, *, fresh: bool) -> Written:
        spot, parts = self._spot, self._parts
        if (output_hash := _answer_in(turn)) is None:
            return _NOTHING
        outcome = answered(self._plan, spot, text, output_hash)
        if outcome.status != "completed":
            return _NOTHING
        try:
            return self._written(
                lambda run: parts.ends.node(self._plan, run, spot, outcome), fresh=fresh, then=self._has_ended
            )
        except Refused as refusal:  # settle what was paid; the workflow records the end itself
            structlog.get_logger("answering").warning("no end yet", node=spot.node, reason=refusal.message)
            return _NOTHING

    def _written(self, decide: Decide, *, fresh: bool, then: Callable[[Entry], None] | None = None) -> Written:
        writing = self._writing
        entry = writing.entry(decide, fresh=fresh)

        def appended() -> None:
            writing.appended(entry)
            if then is not None:
                then(entry)

        return Written(entry.changes, entry.content, entry.underway, appended)

    def _has_ended(self, entry: Entry) -> None:
        self.end = self._parts.ends.standing(entry.run, self._spot)


class _Item(Beside):
    """The same for an item of a map, which has a stream of its own."""

    def __init__(self, parts: GraphParts, plan: Plan, spot: Spot) -> None:
        self.end: Ended | None = None
        self._parts = parts
        self._plan = plan
        self._spot = spot

    def gate(self) -> AbstractContextManager[object]:
        return nullcontext()

    def begun(self, *, fresh: bool) -> Written:  # noqa: ARG002  (as the protocol has it)
        return _NOTHING

    def ended(self, turn: Sequence[Event], text: str, *, fresh: bool) -> Written:  # noqa: ARG002  (the same)
        if (output_hash := _answer_in(turn)) is None:
            return _NOTHING
        outcome = answered(self._plan, self._spot, text, output_hash)
        if outcome.status != "completed":
            return _NOTHING
        change, event, texts = self._parts.ends.item(self._spot, outcome)

        def appended() -> None:
            self.end = of_item(event)

        return Written([change], texts, appended=appended)


def _thought(spot: Spot, made: Made) -> Thought:
    begun, asked = made.begun, spot.asked
    if begun.turn is None:
        raise impossible("UNSUPPORTED_NODE", f"{spot.node} is no agent's")
    return Thought(
        turn=begun.turn,
        workflow_id=asked.root,
        visit=spot.attempt,
        first=begun.turn.turn,
        project_id=asked.project_id,
        parts=[Part(text=text.text) for text in made.texts],
        shape=begun.shape,
        tools=begun.tools,
        is_held=begun.hold is not None,
        budget_usd=asked.budget_usd,
    )


def _answer_in(turn: Sequence[Event]) -> str | None:
    """Return the hash of the answer that ends a turn, if it is among these events."""
    return next((event.reply_hash for event in turn if isinstance(event, TurnAnswered)), None)
