"""The places of templates and expressions in a definition, and the data each may read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from domain.graphflow.definition.model import Definition, MapNode, Node
from domain.graphflow.definition.node_types import (
    AgentWork,
    ApprovalWork,
    SwarmWork,
    ToolWork,
    TransformWork,
    WaitWork,
    WorkflowWork,
)
from domain.graphflow.expressions.templates import Reference, expressions_in, references
from domain.graphflow.validation.context import works_of


@dataclass(frozen=True, slots=True)
class TemplateSite:
    """A value with templates, or an expression (`condition`: of an edge).

    `node` is the node that it belongs to, None for the output of the workflow; `after`: that node has run by then.
    `item` is the name of a map's item.
    """

    where: str
    field: str
    form: Literal["template", "expression", "condition"]
    value: Any
    node: str | None
    after: bool = False
    item: str | None = None

    def expressions(self) -> tuple[str, ...]:
        """Return its expressions.

        Raises:
            BadExpression: a `{{` is not closed.
        """
        return tuple(expressions_in(self.value)) if self.form == "template" else (self.value,)


def sites(definition: Definition) -> Iterator[TemplateSite]:
    for node in definition.nodes:
        yield from sites_of(node)
    for edge in definition.edges:
        if edge.when is not None:
            yield TemplateSite(edge.name, "when", "condition", edge.when, edge.source, after=True)
    if definition.output is not None:
        yield TemplateSite("definition", "output", "template", definition.output, None)


def sites_of(node: Node) -> Iterator[TemplateSite]:
    where = f"node {node.id}"
    if isinstance(node, MapNode):
        yield TemplateSite(where, "over", "expression", node.over, node.id)
    for prefix, work in works_of(node):
        item = node.item if isinstance(node, MapNode) and prefix == "node." else None
        for field, form, value in _texts(work):
            after = prefix == "compensate."
            yield TemplateSite(where, prefix + field, form, value, node.id, after=after, item=item)


def nodes_read_by(definition: Definition, node: str) -> frozenset[str]:
    """Return the nodes whose outputs a node reads for its work, its conditions and its compensation."""
    found = {
        name for site in sites(definition) if site.node == node for one in _references_at(site) for name in _nodes(one)
    }
    return frozenset(definition.by_id()) if "*" in found else frozenset(found)


def _references_at(site: TemplateSite) -> Iterator[Reference]:
    for expression in site.expressions():
        yield from references(expression)


def _nodes(reference: Reference) -> Iterator[str]:
    """Yield the node that is read; `*` if all of them are."""
    if reference.path[0] == "nodes":
        yield reference.path[1] if len(reference.path) > 1 else "*"


def _texts(work: Any) -> Iterator[tuple[str, Literal["template", "expression"], Any]]:
    match work:
        case AgentWork():
            yield "prompt", "template", work.prompt
        case SwarmWork():
            yield "task", "template", work.task
        case ToolWork():
            yield "arguments", "template", work.arguments
        case ApprovalWork():
            yield "title", "template", work.title
            yield "content", "template", work.content
        case TransformWork():
            for key, expression in work.set.items():
                yield f"set.{key}", "expression", expression
        case WaitWork() if work.until is not None:
            yield "until", "template", work.until
        case WorkflowWork():
            yield "input", "template", work.input
