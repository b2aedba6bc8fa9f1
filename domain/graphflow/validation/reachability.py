"""Nodes that can have run before another starts, and those that certainly have completed.

`sure` follows the tokens. Whatever starts has a live token, so the nodes that all its possible live tokens have in
common have run. A node that runs leads on: along every edge without a condition, and, where an edge is `otherwise`,
along one of the edges with one, so that the nodes that all of these lead to run too. A cycle that is entered is left,
or the run fails: a node that runs in each of its rounds takes one of the edges that do not lead back. And the nodes
that a join waits for are settled before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from domain.graphflow.definition.cycles import Topology, topology
from domain.graphflow.definition.graph import Graph

Nodes = frozenset[int]


@dataclass(frozen=True, slots=True)
class Reachability:
    """For each node, by index: nodes that can have run before it starts, and that certainly have. `always` run at all.

    A node with `on_error: continue` counts as certainly run; if it has an output is checked separately.
    """

    possible: tuple[Nodes, ...]
    sure: tuple[Nodes, ...]
    always: Nodes


def reachability_of(graph: Graph) -> Reachability:
    shape = topology(graph)
    order = _topological_order(graph, shape)
    follows = _followers(graph, shape, order)
    several = _union([region.entries for region in shape.regions if len(region.entries) > 1])
    settled: dict[int, Nodes] = {}
    implied: dict[int, Nodes] = {}
    for node in order:
        join = graph.nodes[node].join
        # an edge inside the cycle may be the first to lead here; an impossible join is skipped at once
        if node in several or (isinstance(join, int) and join > len(shape.incoming[node])):
            settled[node] = implied[node] = frozenset()
            continue
        edges = shape.incoming[node]
        waited = [settled[source] | {source} for source in (graph.edges[edge].source for edge in edges)]
        settled[node] = _union(waited) if join == "all" else _common(waited)
        common = _common([_completed_if_taken(graph, edge, implied) for edge in edges])
        implied[node] = _certain_from(graph, shape, common, follows) & settled[node] | common
    many = range(len(graph.nodes))
    starts = frozenset(node for node in many if not shape.incoming[node])
    always = _certain_from(graph, shape, starts, follows)
    return Reachability(_ancestors(graph), tuple(implied[node] for node in many), always)


def _followers(graph: Graph, shape: Topology, order: Sequence[int]) -> dict[int, Nodes]:
    """Return for each node the nodes that certainly complete if it runs and the run does not fail.

    The node itself is included if it completes.
    """
    left: dict[int, Nodes] = {}
    while True:
        found: dict[int, Nodes] = {}
        for node in reversed(order):
            beyond = _union([left.get(region, frozenset()) for region in shape.regions_around(node)])
            found[node] = _followers_of(graph, shape, node, found) | beyond
        more = {region: _followers_of_cycle(graph, shape, region, found) for region in range(1, len(shape.regions))}
        if more == left:
            return found
        left = more


def _followers_of(graph: Graph, shape: Topology, node: int, found: Mapping[int, Nodes]) -> Nodes:
    ways = {edge: _followers_along(graph, shape, edge, found) for edge in shape.outgoing[node]}
    always = [way for edge, way in ways.items() if graph.edges[edge].kind == "always"]
    errors = [way for edge, way in ways.items() if graph.edges[edge].kind == "error"]
    chosen = [way for edge, way in ways.items() if graph.edges[edge].kind in {"when", "otherwise"}]
    one = _common(chosen) if not always and _has_otherwise(graph, ways) else frozenset()
    sure = _union(always) | one | {node}
    return sure & _common(errors) if errors else sure


def _followers_of_cycle(graph: Graph, shape: Topology, index: int, found: Mapping[int, Nodes]) -> Nodes:
    """Return the nodes that certainly follow once a cycle is entered: it is left from nodes that run in each round."""
    region = shape.regions[index]
    if len(region.entries) > 1:
        return frozenset()
    entry = min(region.entries)
    each_round = [node for node in found[entry] & region.members if shape.innermost[node] == index]
    return _union([_followers_of_exit(graph, shape, index, node, found) for node in each_round])


def _followers_of_exit(graph: Graph, shape: Topology, index: int, node: int, found: Mapping[int, Nodes]) -> Nodes:
    edges = [edge for edge in shape.outgoing[node] if edge not in shape.regions[index].back]
    kinds = {graph.edges[edge].kind for edge in shape.outgoing[node]}
    stays = any(graph.edges[edge].target in shape.regions[index].members for edge in edges)
    if stays or kinds & {"always", "error"} or "otherwise" not in kinds:
        return frozenset()
    return _common([_followers_along(graph, shape, edge, found) for edge in edges])


def _followers_along(graph: Graph, shape: Topology, index: int, found: Mapping[int, Nodes]) -> Nodes:
    target = graph.edges[index].target
    leads = index not in shape.back and graph.nodes[target].join in {"all", "any", 1}
    return found[target] if leads else frozenset()


def _has_otherwise(graph: Graph, edges: Iterable[int]) -> bool:
    return any(graph.edges[edge].kind == "otherwise" for edge in edges)


def _completed_if_taken(graph: Graph, index: int, implied: Mapping[int, Nodes]) -> Nodes:
    """Return the nodes that have completed if this edge is taken."""
    edge = graph.edges[index]
    return implied[edge.source] | ({edge.source} if edge.kind != "error" else frozenset())


def _certain_from(graph: Graph, shape: Topology, run: Nodes, follows: Mapping[int, Nodes]) -> Nodes:
    """Return the nodes that complete whenever these run, unless the run fails."""
    sure = _union([follows[node] for node in run])
    counting = [node for node in range(len(graph.nodes)) if isinstance(graph.nodes[node].join, int)]
    while more := [node for node in counting if not follows[node] <= sure and _is_join_met(graph, shape, node, sure)]:
        sure |= _union([follows[node] for node in more])
    return sure


def _is_join_met(graph: Graph, shape: Topology, node: int, sure: Nodes) -> bool:
    edges = [graph.edges[edge] for edge in shape.incoming[node]]
    many = sum(edge.kind == "always" and edge.source in sure for edge in edges)
    join = graph.nodes[node].join
    return isinstance(join, int) and many >= join


def _topological_order(graph: Graph, shape: Topology) -> list[int]:
    """Return all nodes in topological order of the forward edges."""
    missing = [len(edges) for edges in shape.incoming]
    ready = [node for node, many in enumerate(missing) if not many]
    order: list[int] = []
    while ready:
        node = ready.pop()
        order.append(node)
        for edge in shape.outgoing[node]:
            if edge not in shape.back:
                target = graph.edges[edge].target
                missing[target] -= 1
                if not missing[target]:
                    ready.append(target)
    return order


def _ancestors(graph: Graph) -> tuple[Nodes, ...]:
    """Return for each node those from which a path leads to it, back edges included."""
    reached: list[set[int]] = [set() for _ in graph.nodes]
    changed = True
    while changed:
        changed = False
        for edge in graph.edges:
            new = reached[edge.source] | {edge.source}
            if not new <= reached[edge.target]:
                reached[edge.target] |= new
                changed = True
    return tuple(map(frozenset, reached))


def _union(sets: Sequence[Nodes]) -> Nodes:
    return frozenset().union(*sets)


def _common(sets: Sequence[Nodes]) -> Nodes:
    return reduce(frozenset.intersection, sets) if sets else frozenset()
