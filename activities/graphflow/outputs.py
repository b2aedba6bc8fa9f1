"""Outputs of nodes, from the results of their work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from activities.approvals.messages import ApprovalDecision
from activities.graphflow.execution_stream import RunStreams
from activities.graphflow.expression_data import Values
from activities.graphflow.messages import EndNodeRequest, NodeAttempt
from activities.graphflow.plans import WorkflowPlan
from activities.graphflow.stored_texts import json_text, without_nul
from domain.content import Content, ContentStore
from domain.errors import NotFound
from domain.graphflow.definition.model import MapNode
from domain.graphflow.definition.node_types import AgentWork
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.events import ItemEnded
from domain.json_schema.validation import UnusableSchema, describe_violations, violations
from domain.ledger import Ledger

_MOST_PROBLEMS = 3


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """The end of an attempt before it is recorded. The output is `value`; with `hash` it is stored already."""

    status: str
    value: Any = None
    hash: str | None = None
    as_text: bool = False
    code: str | None = None
    error: str | None = None

    def text(self, owner: str) -> Content | None:
        """Return the text to store; None if there is none or it is stored already."""
        if self.status != "completed" or self.hash is not None:
            return None
        return Content(owner, self.value if self.as_text else json_text(self.value))


class NodeOutputs:
    """Reads the results of work, and makes the outputs of nodes from them."""

    def __init__(self, ledger: Ledger, journal: RunStreams, content: ContentStore, values: Values) -> None:
        self._ledger = ledger
        self._journal = journal
        self._content = content
        self._values = values

    def outcome(self, plan: WorkflowPlan, ending: EndNodeRequest) -> AttemptOutcome:  # noqa: PLR0911  (one return for each thing brought)
        """Return the end of an attempt, with its output.

        Raises:
            NotFound: a text was erased.
        """
        if ending.status != "completed":
            return AttemptOutcome(ending.status, code=ending.code, error=ending.error)
        match ending.made:
            case "answer":
                return self._answer(plan, ending)
            case "result":
                return self._result(ending)
            case "decision":
                return self._decision(ending)
            case "waited":
                payload = self._values.get_one(_owner(ending), ending.hash) if ending.hash else None
                return AttemptOutcome("completed", {"timed_out": ending.timed_out, "payload": payload})
            case "kept":
                return self._recorded_output(ending)
            case "items":
                return self._items(plan, ending)
            case "swarm":
                return AttemptOutcome("completed", self._text(ending.owner or "", ending.hash), as_text=True)
        return AttemptOutcome("completed", orjson.loads(self._text(ending.owner or "", ending.hash)))

    def _recorded_output(self, ending: EndNodeRequest) -> AttemptOutcome:
        """Return the node's recorded output."""
        stands = self._journal.read_latest(_owner(ending)).node(ending.spot.node).ended
        if stands is None or stands.output_hash is None:
            raise NotFound("the node has no recorded output")
        value = self._values.get_one(_owner(ending), stands.output_hash, as_text=stands.as_text)
        return AttemptOutcome("completed", value, stands.output_hash, as_text=stands.as_text)

    def _answer(self, plan: WorkflowPlan, ending: EndNodeRequest) -> AttemptOutcome:
        return answer_outcome(plan, ending.spot, self._text(_owner(ending), ending.hash), ending.hash)

    def _result(self, ending: EndNodeRequest) -> AttemptOutcome:
        """Return a tool's result: parsed where it is a JSON object or list, else the text."""
        text = self._text(_owner(ending), ending.hash)
        value = _parse_structure(text)
        if value is None:
            return AttemptOutcome("completed", text, ending.hash, as_text=True)
        return AttemptOutcome("completed", value, _reusable_hash(text, ending.hash))

    def _decision(self, ending: EndNodeRequest) -> AttemptOutcome:
        """Return a decision; an edited text replaces the one that was submitted."""
        decided = ending.decided or ApprovalDecision("", "withdrawn", "")
        content_hash = decided.content_hash or ending.hash or ""
        wanted = {each for each in (content_hash, decided.comment_hash) if each}
        texts = self._content.get(_owner(ending), wanted)
        output = {
            "approved": decided.outcome == "approved",
            "status": decided.outcome,
            "content": texts.get(content_hash, ""),
            "comment": texts.get(decided.comment_hash or "", ""),
        }
        return AttemptOutcome("completed", output)

    def _items(self, plan: WorkflowPlan, ending: EndNodeRequest) -> AttemptOutcome:
        spot, node, count = ending.spot, plan.nodes[ending.spot.node], ending.count
        ended = self._ended_items(_owner(ending), spot.node, spot.visit, count)
        wanted = {item: (e.output_hash, e.as_text) for item, e in ended.items() if e.output_hash}
        found = self._values.get(_owner(ending), wanted.values())
        if len(wanted) < count and isinstance(node, MapNode) and node.on_item_error == "fail":
            return AttemptOutcome("failed", code="ITEM_FAILED", error=f"{count - len(wanted)} items have no output")
        return AttemptOutcome("completed", [found[wanted[item]] if item in wanted else None for item in range(count)])

    def _ended_items(self, owner: str, node: str, visit: int, count: int) -> Mapping[int, ItemEnded]:
        streams = {runs.item_stream(owner, node, visit, item): item for item in range(count)}
        events = self._ledger.read_many(list(streams)) if streams else {}
        newest = {streams[name]: known[-1] for name, known in events.items()}
        return {item: event for item, event in newest.items() if isinstance(event, ItemEnded)}

    def _text(self, owner: str, text_hash: str | None) -> str:
        text = self._content.get(owner, [text_hash]).get(text_hash) if text_hash else None
        if text is None:
            raise NotFound("the node's output was erased")
        return text


def answer_outcome(plan: WorkflowPlan, spot: NodeAttempt, text: str, text_hash: str | None) -> AttemptOutcome:
    """Return the outcome of an agent's answer."""
    work = plan.work(spot.node, item=spot.item is not None, undo=spot.undo)
    if not isinstance(work, AgentWork) or work.output is None:
        return AttemptOutcome("completed", text, text_hash, as_text=True)
    try:
        value = orjson.loads(without_nul(text))
    except orjson.JSONDecodeError:
        return AttemptOutcome("failed", code="OUTPUT_INVALID", error="the answer is not JSON")
    if problem := schema_problem(work.output, value):
        return AttemptOutcome("failed", code="OUTPUT_INVALID", error=problem)
    return AttemptOutcome("completed", value, _reusable_hash(text, text_hash))


def _reusable_hash(text: str, text_hash: str | None) -> str | None:
    """Return the hash under which the value's text is stored already, if it is."""
    return text_hash if without_nul(text) == text else None


def schema_problem(schema: Mapping[str, Any], value: Any) -> str | None:
    """Return the reason a value does not follow a schema, without quoting it; None if it does."""
    try:
        found = violations(schema, value, most=_MOST_PROBLEMS)
    except UnusableSchema as error:
        return f"its schema cannot be used ({error})"
    return describe_violations(found) or None


def _owner(ending: EndNodeRequest) -> str:
    return ending.spot.asked.execution_id


def _parse_structure(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return orjson.loads(without_nul(text))
    except orjson.JSONDecodeError:
        return None
