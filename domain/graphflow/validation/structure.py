"""Checks of the graph: edges lead to nodes, every node is reachable and leads to an end, every cycle is bounded."""

from collections.abc import Iterable, Iterator, Sequence

from domain.graphflow.definition.cycles import Topology, topology
from domain.graphflow.definition.graph import Graph
from domain.graphflow.definition.model import Definition, MapNode
from domain.graphflow.definition.to_graph import error_edges, graph_of
from domain.graphflow.validation.problems import Problem

_RESERVED = frozenset({"in", "true", "false", "null"})


def graph_errors(definition: Definition) -> Iterator[Problem]:
    """Yield the problems that keep a definition from being a graph: duplicate ids, edges to missing nodes."""
    ids = [node.id for node in definition.nodes]
    for name in dict.fromkeys(each for each in ids if ids.count(each) > 1):
        yield Problem("node_twice", f"node {name}", "id", "several nodes have this id", "Give each an id of its own")
    for name in _RESERVED & {*ids}:
        yield Problem("reserved_name", f"node {name}", "id", "expressions cannot read this name", "Take another id")
    for edge in definition.edges:
        for field, name in (("from", edge.source), ("to", edge.target)):
            if name not in ids:
                fix = f"Lead it to one of the nodes, or add a node {name}"
                yield Problem("unknown_node", edge.name, field, f"there is no node {name}", fix)
    for source, target in error_edges(definition):
        if target not in ids:
            fix = f"Go to one of the nodes, or add a node {target}"
            yield Problem("unknown_node", f"node {source}", "on_error.goto", f"there is no node {target}", fix)


def problems(definition: Definition) -> Iterator[Problem]:
    """Yield the problems of a definition that is a graph."""
    graph = graph_of(definition)
    shape = topology(graph)
    yield from _edges(definition)
    yield from _reachability_errors(definition, graph)
    yield from _endless_cycles(definition, graph)
    yield from _unbounded_cycles(definition, shape)
    yield from _impossible_joins(definition, shape)


def hints(definition: Definition) -> Iterator[Problem]:
    """Yield warnings about probable mistakes."""
    shape = topology(graph_of(definition))
    for node in definition.nodes:
        own = [edge for edge in definition.edges if edge.source == node.id]
        if own and all(edge.when for edge in own):
            message = "if none of its conditions is true, nothing follows"
            yield Problem("no_otherwise", f"node {node.id}", "", message, "Add an edge with otherwise: true")
        if own and all(edge.otherwise for edge in own):
            yield Problem("otherwise_alone", own[0].name, "otherwise", "it is always taken", "Leave otherwise out")
        if isinstance(node, MapNode) and node.retry and node.on_item_error == "continue":
            message = "with on_item_error: continue an item is tried once, and the map does not fail for it"
            fix = "Leave retry out, or make on_item_error fail: then the items that failed are tried again"
            yield Problem("retry_unused", f"node {node.id}", "retry", message, fix)
    for region in shape.regions[1:]:
        names = [definition.nodes[entry].id for entry in sorted(region.entries)]
        if len(names) > 1:
            message = (
                f"a cycle is entered at {' and '.join(names)}; in a round only those run that an edge leads back to"
            )
            yield Problem(
                "several_entries", f"node {names[0]}", "", message, "Enter it at one node, if that is not meant"
            )


def _edges(definition: Definition) -> Iterator[Problem]:
    seen: set[object] = set()
    for edge in definition.edges:
        if edge.when is not None and edge.otherwise:
            message = "it has a condition and is otherwise too"
            yield Problem("when_and_otherwise", edge.name, "otherwise", message, "Keep one of when and otherwise")
        if edge in seen:
            yield Problem("edge_twice", edge.name, "", "the same edge is listed twice", "Leave one of them out")
        seen.add(edge)
    for node in definition.nodes:
        own = [edge for edge in definition.edges if edge.source == node.id]
        rest = [edge for edge in own if edge.otherwise]
        if len(rest) > 1:
            message = f"{node.id} has {len(rest)} edges that are otherwise"
            yield Problem("two_otherwise", rest[1].name, "otherwise", message, "Keep one; give the others a when")
        if rest and any(edge.when is None and not edge.otherwise for edge in own):
            message = f"it is never taken, because {node.id} has an edge without a condition"
            yield Problem("otherwise_never", rest[0].name, "otherwise", message, "Give the other edges a when")


def _reachability_errors(definition: Definition, graph: Graph) -> Iterator[Problem]:
    entered = {edge.target for edge in graph.edges}
    starts = [at for at in range(len(graph.nodes)) if at not in entered] or [0]
    pairs = [(edge.source, edge.target) for edge in graph.edges]
    reached = _closure(starts, pairs)
    left = {edge.source for edge in graph.edges if edge.kind != "error"}
    ends = [at for at in range(len(graph.nodes)) if at not in left]
    ending = _closure(ends, [(target, source) for source, target in pairs])
    for at, node in enumerate(definition.nodes):
        if at not in reached:
            fix = f"Draw an edge to {node.id}, or leave it out"
            yield Problem("unreachable", f"node {node.id}", "", "no way leads here from a start", fix)
        if at not in ending:
            fix = "Draw an edge out of the cycle, with a condition, to a node that nothing follows"
            yield Problem("no_end", f"node {node.id}", "", "no end can be reached from here", fix)


def _endless_cycles(definition: Definition, graph: Graph) -> Iterator[Problem]:
    endless = _cyclic([(edge.source, edge.target) for edge in graph.edges if edge.kind == "always"])
    if endless:
        names = [definition.nodes[at].id for at in endless]
        message = f"{', '.join(names)}: this cycle has no condition, so it repeats until max_visits stops it"
        fix = "Give the edge that leads back a when, and another edge otherwise"
        yield Problem("endless_cycle", f"node {names[0]}", "", message, fix)


def _unbounded_cycles(definition: Definition, shape: Topology) -> Iterator[Problem]:
    for region in shape.regions[1:]:
        for entry in sorted(region.entries):
            node = definition.nodes[entry]
            if (node.max_visits or 1) == 1:
                message = f"the cycle through {node.id} is not bounded: it may run only once"
                fix = f"Set max_visits of {node.id} to the most rounds that make sense, as in max_visits: 5"
                yield Problem("cycle_unbounded", f"node {node.id}", "max_visits", message, fix)


def _impossible_joins(definition: Definition, shape: Topology) -> Iterator[Problem]:
    for at, node in enumerate(definition.nodes):
        many = len(shape.incoming[at])
        if isinstance(node.join, int) and node.join > many:
            message = f"it waits for {node.join} edges, and {many} lead here (those that close a cycle do not count)"
            yield Problem(
                "join_impossible", f"node {node.id}", "join", message, f"Set join to {many} at most, or to all"
            )


def _cyclic(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return the nodes in cycles, and between them."""
    left = list(pairs)
    while True:
        inner = {source for source, _ in left} & {target for _, target in left}
        fewer = [(source, target) for source, target in left if source in inner and target in inner]
        if len(fewer) == len(left):
            return sorted(inner)
        left = fewer


def _closure(nodes: Iterable[int], pairs: Iterable[tuple[int, int]]) -> set[int]:
    steps: dict[int, list[int]] = {}
    for source, target in pairs:
        steps.setdefault(source, []).append(target)
    reached, waiting = set(nodes), [*nodes]
    while waiting:
        new = set(steps.get(waiting.pop(), ())) - reached
        reached |= new
        waiting.extend(new)
    return reached
