"""The cycles of a graph: their nodes, entries and back edges.

A region is a set of nodes that all reach each other. Its entries are the nodes that edges from outside lead to; if
there are none, the first in the order of the definition. The edges from inside to an entry are its back edges. Without
them the region has no cycle through an entry any more; the cycles that are left in it are regions inside it. The whole
graph is region 0, which has no back edges.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.graphflow.definition.graph import Graph

WHOLE = 0


@dataclass(frozen=True, slots=True)
class Region:
    """`members` are all its nodes, those of inner regions too; `parent` is the region around it."""

    parent: int | None
    members: frozenset[int]
    entries: frozenset[int]
    back: frozenset[int]
    """Edges, by their indices."""


@dataclass(frozen=True, slots=True)
class Topology:
    """The regions and the incidence lists of a graph. Edges and nodes go by their indices.

    `incoming` has only forward edges. `innermost` is the smallest region around each node. `leaves` is, for an edge
    that leaves regions, the largest one that it leaves; for others, None.
    """

    regions: tuple[Region, ...]
    incoming: tuple[tuple[int, ...], ...]
    outgoing: tuple[tuple[int, ...], ...]
    innermost: tuple[int, ...]
    leaves: tuple[int | None, ...]
    back: frozenset[int]
    exits: Mapping[int, tuple[int, ...]]
    """The edges that leave a region, under the largest one that each leaves."""

    def regions_around(self, node: int) -> tuple[int, ...]:
        """Return the regions around a node, the smallest first."""
        return chain(self.regions, self.innermost[node])


def topology(graph: Graph) -> Topology:
    found = regions(graph)
    back = frozenset(edge for region in found for edge in region.back)
    innermost = [WHOLE] * len(graph.nodes)
    for index, region in enumerate(found):  # an inner region comes after the one around it
        for node in region.members:
            innermost[node] = index
    leaves = tuple(_left_region(graph, found, innermost, edge) for edge in range(len(graph.edges)))
    indices = range(len(graph.nodes))
    forward = [index for index in range(len(graph.edges)) if index not in back]
    return Topology(
        found,
        _by_node(indices, ((graph.edges[edge].target, edge) for edge in forward)),
        _by_node(indices, ((edge.source, index) for index, edge in enumerate(graph.edges))),
        tuple(innermost),
        leaves,
        back,
        {index: tuple(edge for edge in forward if leaves[edge] == index) for index in range(len(found))},
    )


def regions(graph: Graph) -> tuple[Region, ...]:
    """Return all regions, each after the one around it; the first is the whole graph."""
    found = [Region(None, frozenset(range(len(graph.nodes))), frozenset(), frozenset())]
    waiting = [WHOLE]
    cut: set[int] = set()
    while waiting:
        around = waiting.pop()
        inside = [index for index in _inner_edges(graph, found[around].members) if index not in cut]
        repeated = {
            graph.edges[index].source for index in inside if graph.edges[index].source == graph.edges[index].target
        }
        for members in _components(graph, found[around].members, inside):
            if len(members) == 1 and not members & repeated:
                continue
            region = _region(graph, around, members, inside)
            cut |= region.back
            waiting.append(len(found))
            found.append(region)
    return tuple(found)


def chain(found: Sequence[Region], index: int) -> tuple[int, ...]:
    """Return a region and those around it, the smallest first."""
    steps = [index]
    while (parent := found[steps[-1]].parent) is not None:
        steps.append(parent)
    return tuple(steps)


def _region(graph: Graph, around: int, members: frozenset[int], inside: Sequence[int]) -> Region:
    into = [index for index, edge in enumerate(graph.edges) if edge.target in members]
    entered = {graph.edges[index].target for index in into if graph.edges[index].source not in members}
    entries = frozenset(entered or {min(members)})
    own = {index for index in inside if graph.edges[index].source in members and graph.edges[index].target in entries}
    return Region(around, members, entries, frozenset(own))


def _left_region(graph: Graph, found: Sequence[Region], innermost: Sequence[int], index: int) -> int | None:
    edge = graph.edges[index]
    left = [region for region in chain(found, innermost[edge.source]) if edge.target not in found[region].members]
    return left[-1] if left else None


def _by_node(nodes: Collection[int], pairs: Iterable[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    lists: list[list[int]] = [[] for _ in nodes]
    for node, edge in pairs:
        lists[node].append(edge)
    return tuple(map(tuple, lists))


def _inner_edges(graph: Graph, members: frozenset[int]) -> list[int]:
    return [index for index, edge in enumerate(graph.edges) if edge.source in members and edge.target in members]


def _components(graph: Graph, members: Collection[int], edges: Iterable[int]) -> list[frozenset[int]]:
    """Return the strongly connected components, by their smallest node (Kosaraju's algorithm)."""
    after: dict[int, list[int]] = {node: [] for node in sorted(members)}
    before: dict[int, list[int]] = {node: [] for node in after}
    for index in edges:
        edge = graph.edges[index]
        after[edge.source].append(edge.target)
        before[edge.target].append(edge.source)
    left, found = set(after), []
    for node in reversed(_post_order(after)):
        if node in left:
            component = _reachable_from(node, before, left)
            left -= component
            found.append(frozenset(component))
    return sorted(found, key=min)


def _post_order(after: Mapping[int, Sequence[int]]) -> list[int]:
    """Return the nodes in the post-order of a depth-first search."""
    seen: set[int] = set()
    order: list[int] = []
    for root in after:
        stack = [(root, iter(after[root]))] if root not in seen else []
        seen.add(root)
        while stack:
            node, rest = stack[-1]
            step = next((each for each in rest if each not in seen), None)
            if step is None:
                stack.pop()
                order.append(node)
            else:
                seen.add(step)
                stack.append((step, iter(after[step])))
    return order


def _reachable_from(root: int, steps: Mapping[int, Sequence[int]], allowed: Collection[int]) -> set[int]:
    reached, waiting = {root}, [root]
    while waiting:
        new = {each for each in steps[waiting.pop()] if each in allowed} - reached
        reached |= new
        waiting.extend(new)
    return reached
