"""The graph of a definition, without its texts, as schedules need it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from domain.graphflow.definition.cycles import WHOLE, Topology, topology
from domain.graphflow.definition.graph import EdgeKind, Graph, GraphEdge, GraphNode
from domain.graphflow.definition.model import MOST_VISITS, ApprovalNode, Definition, GoTo, MapNode, Node, WaitNode
from domain.graphflow.definition.node_types import WorkflowWork


def graph_of(definition: Definition) -> Graph:
    """Build the graph of a definition with unique node ids, whose edges lead to existing nodes.

    Raises:
        KeyError: an edge or `goto` leads to no node.
    """
    index = {node.id: at for at, node in enumerate(definition.nodes)}
    edges = [
        GraphEdge(index[edge.source], index[edge.target], _kind(edge.when, otherwise=edge.otherwise))
        for edge in definition.edges
    ]
    errors = [GraphEdge(index[source], index[target], "error") for source, target in error_edges(definition)]
    bare = Graph(tuple(_node(node, definition) for node in definition.nodes), (*edges, *errors))
    shape = topology(bare)
    visits = [_max_visits(definition, shape, at) for at in range(len(definition.nodes))]
    return replace(bare, nodes=tuple(map(_with_max_visits, bare.nodes, visits)))


def error_edges(definition: Definition) -> Iterator[tuple[str, str]]:
    """Yield the (source, target) pairs of `on_error: {goto: …}`."""
    for node in definition.nodes:
        if isinstance(node.on_error, GoTo):
            yield node.id, node.on_error.goto


def _with_max_visits(node: GraphNode, visits: int) -> GraphNode:
    return replace(node, max_visits=visits)


def _max_visits(definition: Definition, shape: Topology, at: int) -> int:
    own = definition.nodes[at].max_visits
    region = shape.regions[shape.innermost[at]]
    if own is not None or shape.innermost[at] == WHOLE:
        return own or 1
    return min(MOST_VISITS, sum(definition.nodes[entry].max_visits or 1 for entry in region.entries))


def _kind(when: str | None, *, otherwise: bool) -> EdgeKind:
    return "otherwise" if otherwise else "always" if when is None else "when"


def _node(node: Node, definition: Definition) -> GraphNode:
    retry = node.retry
    return GraphNode(
        node.id,
        node.type,
        node.join,
        on_error="goto" if isinstance(node.on_error, GoTo) else node.on_error,
        attempts=retry.attempts if retry else 1,
        pause_s=retry.pause_s if retry else 1,
        backoff=retry.backoff if retry else 2,
        timeout_s=node.timeout_s,
        compensate=node.compensate is not None or _has_child_runs(node),
        more=_more(node, definition),
    )


def _has_child_runs(node: Node) -> bool:
    """Return True if it has child runs of other workflows, which compensate themselves."""
    return isinstance(node.node if isinstance(node, MapNode) else node, WorkflowWork)


def _more(node: Node, definition: Definition) -> dict[str, Any]:
    match node:
        case WaitNode():
            return {name: value for name in ("event", "seconds") if (value := getattr(node, name)) is not None}
        case MapNode():
            return {"parallel": node.parallel, "max_items": node.max_items, "does": node.node.type}
        case ApprovalNode():
            decides = any(edge.when or edge.otherwise for edge in definition.edges if edge.source == node.id)
            return {"risk": node.risk, "decides": decides}
    return {}
