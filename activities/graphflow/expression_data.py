"""What the expressions of a run read: its input, its context, what its nodes have put out."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

import orjson

from activities.graphflow.plans import Plan
from domain.content import ContentStore
from domain.errors import NotFound
from domain.graphflow.execution.aggregate import NEVER, NodeRun, Run

_MOST_KEPT = 5_000
_LARGEST_KEPT = 20_000
"""Characters of a text that is kept; others are read again."""

Text = tuple[str, bool]
"""The hash of a text, and whether it is the value itself and not JSON."""


class Values:
    """Values by their hashes. Texts never change, so small ones are kept."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._kept: OrderedDict[tuple[str, Text], Any] = OrderedDict()
        self._lock = Lock()

    def get(self, owner: str, wanted: Iterable[Text]) -> dict[Text, Any]:
        """The values of these texts.

        Raises:
            NotFound: one was erased.
        """
        asked = set(wanted)
        with self._lock:
            found = {text: self._kept[owner, text] for text in asked if (owner, text) in self._kept}
        missing = asked - found.keys()
        texts = self._content.get(owner, {each for each, _ in missing}) if missing else {}
        for text in missing:
            if text[0] not in texts:
                raise NotFound("a text of this run was erased")
            found[text] = self._keep(owner, text, texts[text[0]])
        return found

    def one(self, owner: str, text_hash: str, *, as_text: bool = False) -> Any:
        """One value."""
        return self.get(owner, [(text_hash, as_text)])[text_hash, as_text]

    def keep(self, owner: str, text: Text, value: Any, *, size: int) -> None:
        """Remember a value that was just made of, or into, a text of so many characters."""
        if size <= _LARGEST_KEPT:
            with self._lock:
                self._kept[owner, text] = value
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)

    def _keep(self, owner: str, text: Text, body: str) -> Any:
        value = body if text[1] else orjson.loads(body)
        self.keep(owner, text, value, size=len(body))
        return value


def scope(values: Values, plan: Plan, run: Run, names: Iterable[str], *, visit: int = 1) -> dict[str, Any]:
    """What an expression reads that is about these nodes.

    Raises:
        NotFound: a text was erased.
    """
    known = run.known
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
    """An input with what its schema gives for what was left out, in the objects and lists inside it too."""
    if isinstance(given, list):
        return [with_defaults(_declared(schema, "items"), each) for each in given]
    declared = schema.get("properties")
    if not isinstance(given, dict) or not isinstance(declared, Mapping):
        return given
    defaults = {name: one["default"] for name, one in declared.items() if isinstance(one, Mapping) and "default" in one}
    whole = {**defaults, **given}
    return {name: with_defaults(_declared(declared, name), value) for name, value in whole.items()}


def _declared(schemas: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schemas.get(name)
    return found if isinstance(found, Mapping) else {}


def ended_node(
    status: str, visit: int, output: Any = None, error: Mapping[str, str | None] | None = None
) -> dict[str, Any]:
    """A node as expressions see it, once it has ended."""
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
        return {"status": "pending" if node == NEVER else "running", "visit": node.visit}
    error = {"code": ended.code, "message": ended.error} if ended.code else None
    return ended_node(ended.status, ended.visit, outputs.get(name), error)
