"""Output types of nodes: by the type of work, by declared schemas, by the types of expressions."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from domain.graphflow.definition.model import Definition, MapNode
from domain.graphflow.definition.node_types import (
    AgentWork,
    ApprovalWork,
    SwarmWork,
    TransformWork,
    WaitWork,
    WorkflowWork,
)
from domain.graphflow.expressions.cel import BadExpression, syntax_tree, type_of
from domain.graphflow.expressions.cost import arithmetic_paths
from domain.graphflow.expressions.templates import references
from domain.graphflow.expressions.types import OBJECT, ValueType, numbers_in, types_in
from domain.graphflow.validation.context import ValidationContext
from domain.graphflow.validation.template_sites import TemplateSite

_DECISION: Mapping[str, ValueType] = {"approved": "BOOL", "status": "STRING", "content": "STRING", "comment": "STRING"}
_WAIT_OUTPUT: Mapping[str, ValueType] = {"timed_out": "BOOL", "payload": "DYN"}


class OutputTypes:
    """The types of all values that expressions in one definition may read."""

    def __init__(self, definition: Definition, known: ValidationContext) -> None:
        self._definition, self._known = definition, known
        self._nodes = definition.by_id()
        self._found: dict[str, dict[str, ValueType]] = {}
        self._mixed: frozenset[str] | None = None
        self.of_input = types_in(definition.input, "input") | {"input": OBJECT}

    def mixed_in(self, expression: str) -> tuple[str, ...]:
        """Return the paths of unconverted arithmetic operands that may be integers or not."""
        found = (".".join(path) for path in arithmetic_paths(syntax_tree(expression)))
        return tuple(dict.fromkeys(path for path in found if path in self._numbers()))

    def _numbers(self) -> frozenset[str]:
        if self._mixed is None:
            outputs = (
                numbers_in(node.output, f"nodes.{node.id}.output")
                for node in self._definition.nodes
                if isinstance(node, AgentWork) and node.output is not None
            )
            self._mixed = frozenset(chain(numbers_in(self._definition.input, "input"), *outputs))
        return self._mixed

    def of_node(self, node_id: str) -> Mapping[str, ValueType]:
        """Return types by paths such as `nodes.draft.output.score`. With `on_error: continue` the output is untyped."""
        if node_id not in self._found:
            self._found[node_id] = {}  # a transform that reads itself must not recurse
            node, path = self._nodes[node_id], f"nodes.{node_id}"
            output = {f"{path}.output": "DYN"} if node.on_error == "continue" else self._of_work(node, f"{path}.output")
            rest = {path: OBJECT, f"{path}.status": "STRING", f"{path}.error": "DYN", f"{path}.visit": "INT"}
            self._found[node_id] = rest | output
        return self._found[node_id]

    def kinds_at(self, site: TemplateSite, expression: str) -> dict[str, ValueType]:
        """Return the types of the variables that this expression reads.

        Raises:
            BadExpression: it cannot be parsed.
        """
        kinds: dict[str, ValueType] = {"input": OBJECT, "nodes": OBJECT, "context": OBJECT, "visit": "INT"}
        if site.item is not None:
            kinds[site.item] = self._of_item(site)
        for reference in references(expression):
            if reference.path[0] == "input":
                kinds |= self.of_input
            elif reference.path[0] == "nodes" and len(reference.path) > 1 and reference.path[1] in self._nodes:
                kinds |= self.of_node(reference.path[1])
        return kinds

    def kind_at(self, site: TemplateSite, expression: str) -> ValueType:
        """Return the type of an expression.

        Raises:
            BadExpression: it cannot be parsed, or combines incompatible types.
        """
        return type_of(expression, self.kinds_at(site, expression))

    def _of_work(self, work: Any, path: str) -> dict[str, ValueType]:  # noqa: PLR0911  (one return for each kind of work)
        match work:
            case AgentWork(output=None) | SwarmWork():
                return {path: "STRING"}
            case AgentWork(output=schema):
                return types_in(schema or {}, path)
            case ApprovalWork():
                return {path: OBJECT} | {f"{path}.{name}": kind for name, kind in _DECISION.items()}
            case WaitWork():
                return {path: OBJECT} | {f"{path}.{name}": kind for name, kind in _WAIT_OUTPUT.items()}
            case TransformWork():
                return {path: OBJECT} | dict(self._of_set(work, path))
            case MapNode():
                inner = self._of_work(work.node, path).get(path, "DYN")
                return {path: f"LIST<{inner if work.on_item_error == 'fail' else 'DYN'}>"}
            case WorkflowWork():
                found = self._known.workflows.get((work.workflow, work.version))
                return types_in(found.output, path) if found and found.output else {path: "DYN"}
        return {path: "DYN"}

    def _of_set(self, work: TransformWork, path: str) -> Iterator[tuple[str, ValueType]]:
        site = TemplateSite("", "", "expression", "", None, item=self._item_of(work))
        for key, expression in work.set.items():
            try:
                yield f"{path}.{key}", self.kind_at(site, expression)
            except BadExpression:  # reported where the expression is checked
                yield f"{path}.{key}", "DYN"

    def _item_of(self, work: TransformWork) -> str | None:
        return next((n.item for n in self._definition.nodes if isinstance(n, MapNode) and n.node is work), None)

    def _of_item(self, site: TemplateSite) -> ValueType:
        node = self._nodes.get(site.node or "")
        if not isinstance(node, MapNode):
            return "DYN"
        try:
            kind = self.kind_at(TemplateSite(site.where, "over", "expression", node.over, node.id), node.over)
        except BadExpression:
            return "DYN"
        return kind[5:-1] if kind.startswith("LIST<") else "DYN"


def kind_of_value(outputs: OutputTypes, site: TemplateSite, value: Any) -> ValueType:
    """Return the type of a value with templates in it: of its one expression, or of the literal.

    Raises:
        BadExpression: an expression cannot be parsed.
    """
    if isinstance(value, str):
        found = TemplateSite(site.where, site.field, "template", value, site.node, item=site.item).expressions()
        whole = len(found) == 1 and value.strip().startswith("{{") and value == value.strip() and value.endswith("}}")
        return outputs.kind_at(site, found[0]) if whole and value.count("{{") == 1 else "STRING"
    names: dict[type, ValueType] = {bool: "BOOL", int: "INT", float: "DOUBLE", dict: OBJECT, type(None): "NULL"}
    return names.get(type(value), "DYN")
