"""The data that expressions of a run read: its input, its context, and the outputs of its nodes."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

import orjson

from activities.graphflow.plans import WorkflowPlan
from domain.content import ContentStore
from domain.errors import NotFound
from domain.graphflow.execution.aggregate import NOT_STARTED, NodeRun, WorkflowRun

_MOST_KEPT = 5_000
_LARGEST_KEPT = 20_000
"""Limit, in characters, on cached texts; longer ones are read again."""

Text = tuple[str, bool]
"""(hash, is plain text): a plain text is the value itself, any other is JSON."""


class Values:
    """Values by the hashes of their texts. Texts never change, so small ones are cached."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._kept: OrderedDict[tuple[str, Text], Any] = OrderedDict()
        self._lock = Lock()

    def get(self, owner: str, wanted: Iterable[Text]) -> dict[Text, Any]:
        """Return the values of these texts.

        Raises:
            NotFound: a text was erased.
        """
        asked = set(wanted)
        with self._lock:
            found = {text: self._kept[owner, text] for text in asked if (owner, text) in self._kept}
        missing = asked - found.keys()
        texts = self._content.get(owner, {each for each, _ in missing}) if missing else {}
        for text in missing:
            if text[0] not in texts:
                raise NotFound("a text of this run was erased")
            found[text] = self._decode(owner, text, texts[text[0]])
        return found

    def get_one(self, owner: str, text_hash: str, *, as_text: bool = False) -> Any:
        """Return one value."""
        return self.get(owner, [(text_hash, as_text)])[text_hash, as_text]

    def cache(self, owner: str, text: Text, value: Any, *, size: int) -> None:
        """Cache the value of a text of `size` characters."""
        if size <= _LARGEST_KEPT:
            with self._lock:
                self._kept[owner, text] = value
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)

    def _decode(self, owner: str, text: Text, body: str) -> Any:
        value = body if text[1] else orjson.loads(body)
        self.cache(owner, text, value, size=len(body))
        return value


def expression_scope(
    values: Values, plan: WorkflowPlan, run: WorkflowRun, names: Iterable[str], *, visit: int = 1
) -> dict[str, Any]:
    """Return the variables of an expression that reads these nodes.

    Raises:
        NotFound: a text was erased.
    """
    known = run.start_event
    owner = known.execution_id
    nodes = {name: run.node(name) for name in names if name in plan.nodes}
    of_nodes = {name: (out.output_hash or "", out.as_text) for name, node in nodes.items() if (out := _output(node))}
    fixed = [(each, False) for each in (known.input_hash, known.context_hash) if each]
    found = values.get(owner, [*of_nodes.values(), *fixed])
    given = found[known.input_hash, False]
    return {
        "input": with_defaults(plan.definition.input, given),
        "context": found[known.context_hash, False] if known.context_hash else {},
        "visit": visit,
        "nodes": {
            name: _node(node, {name: found[text] for name, text in of_nodes.items()}, name)
            for name, node in nodes.items()
        },
    }


def with_defaults(schema: Mapping[str, Any], given: Any) -> Any:
    """Fill in the defaults of an input's schema, in nested objects and lists too."""
    if isinstance(given, list):
        return [with_defaults(_subschema(schema, "items"), each) for each in given]
    declared = schema.get("properties")
    if not isinstance(given, dict) or not isinstance(declared, Mapping):
        return given
    defaults = {name: one["default"] for name, one in declared.items() if isinstance(one, Mapping) and "default" in one}
    whole = {**defaults, **given}
    return {name: with_defaults(_subschema(declared, name), value) for name, value in whole.items()}


def _subschema(schemas: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schemas.get(name)
    return found if isinstance(found, Mapping) else {}


def ended_node(
    status: str, visit: int, output: Any = None, error: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """Return an ended node as expressions see it."""
    seen: dict[str, Any] = {"status": status, "visit": visit}
    if error is not None:
        seen["error"] = dict(error)
    return seen if status != "completed" else {**seen, "output": output}


def _output(node: NodeRun) -> Any:
    return node.ended if node.ended is not None and node.ended.output_hash and not node.skipped else None


def _node(node: NodeRun, outputs: Mapping[str, Any], name: str) -> dict[str, Any]:
    ended = node.ended
    if node.skipped:
        return {"status": "skipped", "visit": node.visit}
    if ended is None:
        return {"status": "pending" if node == NOT_STARTED else "running", "visit": node.visit}
    error = {"code": ended.code, "message": ended.error} if ended.code else None
    return ended_node(ended.status, ended.visit, outputs.get(name), error)
