"""Which nodes can have run before another begins, and which surely have finished well.

`sure` follows the tokens. Whatever begins has a live token, so what all its possible live tokens have in common has
run. What runs always leads on to what follows it without a condition. And what a join waits for is settled before it
begins.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from domain.graphflow.graph import Graph
from domain.graphflow.regions import Topology, topology

Nodes = frozenset[int]


@dataclass(frozen=True, slots=True)
class Before:
    """For each node, by index: which can have run before it begins, and which surely have. `always` surely run at all.

    A node that goes on after an error (`continue`) counts as surely run; whether it has an output is another question.
    """

    possible: tuple[Nodes, ...]
    sure: tuple[Nodes, ...]
    always: Nodes


def before(graph: Graph) -> Before:
    shape = topology(graph)
    settled: dict[int, Nodes] = {}
    implied: dict[int, Nodes] = {}
    for node in _ordered(graph, shape):
        edges = shape.incoming[node]
        sources = [graph.edges[edge].source for edge in edges]
        waited = [settled[source] | {source} for source in sources]
        settled[node] = _union(waited) if graph.nodes[node].join == "all" else _common(waited)
        common = _common([_if_live(graph, edge, implied) for edge in edges])
        implied[node] = _led_to(graph, shape, common) & settled[node] | common
    many = range(len(graph.nodes))
    starts = frozenset(node for node in many if not shape.incoming[node] and graph.nodes[node].on_error != "goto")
    return Before(_ancestors(graph), tuple(implied[node] for node in many), _led_to(graph, shape, starts))


def _if_live(graph: Graph, index: int, implied: Mapping[int, Nodes]) -> Nodes:
    """What has finished well if this edge is taken."""
    edge = graph.edges[index]
    return implied[edge.source] | ({edge.source} if edge.kind != "error" else frozenset())


def _led_to(graph: Graph, shape: Topology, run: Nodes) -> Nodes:
    """What runs and finishes well whenever these do, unless the run fails."""
    sure = set(run)
    waiting = [*run]
    while waiting:
        for edge in shape.outgoing[waiting.pop()]:
            node = graph.edges[edge].target
            if node not in sure and _begins(graph, shape, node, sure):
                sure.add(node)
                waiting.append(node)
    return frozenset(sure)


def _begins(graph: Graph, shape: Topology, node: int, sure: Iterable[int]) -> bool:
    spec = graph.nodes[node]
    live = [edge for edge in shape.incoming[node] if graph.edges[edge].kind == "always"]
    many = sum(graph.edges[edge].source in sure for edge in live)
    return spec.on_error != "goto" and many >= (spec.join if isinstance(spec.join, int) else 1)


def _ordered(graph: Graph, shape: Topology) -> list[int]:
    """All nodes, each after those that its forward edges come from."""
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
    """For each node those from which a way leads to it, back edges included."""
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
