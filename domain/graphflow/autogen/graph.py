"""The graph of a GraphFlow team: its nodes, edges and activation groups, converted to nodes, edges and joins."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.graphflow.autogen.components import as_list
from domain.graphflow.definition.cycles import topology
from domain.graphflow.definition.graph import Graph, GraphEdge, GraphNode, Join
from domain.graphflow.validation.reachability import reachability_of


@dataclass(frozen=True, slots=True)
class TeamGraph:
    """`edges` are (from, to, condition); `entries` are the first nodes of cycles. All by the participants' names."""

    names: tuple[str, ...]
    edges: tuple[tuple[str, str, str | None], ...]
    joins: Mapping[str, Join]
    entries: frozenset[str]
    possible: Mapping[str, tuple[str, ...]]

    def possible_speakers(self, name: str) -> tuple[str, ...]:
        """Return the participants that can have spoken before, in the order of the team."""
        return self.possible[name]


@dataclass(frozen=True, slots=True)
class _Edge:
    source: str
    target: str
    condition: str | None
    group: str
    wanted: str


def team_graph(graph: Mapping[str, Any], lost: list[str], notes: list[str]) -> TeamGraph:
    """Convert the graph; unsupported parts are added to `lost`, changed behaviour to `notes`."""
    start = graph.get("default_start_node")
    names = sorted(
        (str(name) for name in graph["nodes"]), key=lambda name: name != start
    )  # the first node is the entry of its cycle
    edges = [edge for edge in _edges(graph, lost) if _has_target(edge, names, lost)]
    plain = Graph(
        tuple(GraphNode(name, "agent") for name in names),
        tuple(GraphEdge(names.index(edge.source), names.index(edge.target)) for edge in edges),
    )
    shape = topology(plain)
    lost.extend(_never_started(names, start, shape.incoming))
    lost.extend(_endless(names, edges))
    activation = {name: _activation(_as_mapping(graph["nodes"].get(name)), "activation", name, lost) for name in names}
    joins = {
        name: _join(name, activation[name], [edges[index] for index in shape.incoming[at]], lost, notes)
        for at, name in enumerate(names)
    }
    for index in shape.back:
        lost.extend(_waits_for_a_cycle(edges[index], edges))
    entries = frozenset(names[entry] for region in shape.regions for entry in region.entries)
    possible = {
        name: tuple(names[i] for i in sorted(each))
        for name, each in zip(names, reachability_of(plain).possible, strict=True)
    }
    return TeamGraph(tuple(names), tuple((e.source, e.target, e.condition) for e in edges), joins, entries, possible)


def _edges(graph: Mapping[str, Any], lost: list[str]) -> Iterator[_Edge]:
    for name, node in graph["nodes"].items():
        for each in as_list(_as_mapping(node).get("edges")):
            edge = _as_mapping(each)
            target, condition = str(edge.get("target")), edge.get("condition")
            if edge.get("condition_function") is not None or not isinstance(condition, str | None):
                lost.append(f"the function that is the condition of {name} -> {target}")
            group = str(edge.get("activation_group") or target)
            text = condition if isinstance(condition, str) else None
            yield _Edge(
                str(name), target, text, group, _activation(edge, "activation_condition", f"{name} -> {target}", lost)
            )


def _activation(of: Mapping[str, Any], field: str, where: str, lost: list[str]) -> str:
    """Return `all` or `any`."""
    given = of.get(field) or "all"
    if given not in ("all", "any"):
        lost.append(f"the {field.replace('_', ' ')} {str(given)[:100]} of {where}")
    return str(given)


def _has_target(edge: _Edge, names: Sequence[str], lost: list[str]) -> bool:
    if edge.target not in names:
        lost.append(f"the edge {edge.source} -> {edge.target}, which leads to no node")
    return edge.target in names


def _never_started(names: Sequence[str], start: Any, incoming: Sequence[Sequence[int]]) -> Iterator[str]:
    if start is not None and start not in names:
        yield f"the start node {start}, which is no node"
    for name, edges in zip(names, incoming, strict=True):
        if start in names and not edges and name != start:
            yield f"the node {name}, which nothing leads to and which is not the start"


def _endless(names: Sequence[str], edges: Sequence[_Edge]) -> Iterator[str]:
    """Yield cycles without a condition: theirs was a function, which AutoGen omits from its dump silently."""
    free = [(names.index(edge.source), names.index(edge.target)) for edge in edges if edge.condition is None]
    graph = Graph(tuple(GraphNode(name, "agent") for name in names), tuple(GraphEdge(*pair) for pair in free))
    for region in topology(graph).regions[1:]:
        way = ", ".join(names[node] for node in sorted(region.members))
        yield f"the condition of the cycle through {way}, which must have been a function"


def _join(name: str, activation: str, edges: Sequence[_Edge], lost: list[str], notes: list[str]) -> Join:
    groups: dict[str, list[_Edge]] = {}
    for edge in edges:
        groups.setdefault(edge.group, []).append(edge)
    if len(edges) <= 1:
        return "all"
    if activation == "any":
        return "any"
    if len(groups) == 1:
        # `all` of AutoGen needs every edge taken; here a skipped edge would satisfy the join
        return "any" if edges[0].wanted == "any" else len(edges)
    if all(len(group) == 1 or group[0].wanted == "any" for group in groups.values()):
        notes.append(f"{name} runs once for the first of its activation groups, not once for each")
        return "any"
    lost.append(f"the activation groups {', '.join(groups)} of {name}, of which any would do but not each edge of it")
    return "all"


def _waits_for_a_cycle(back: _Edge, edges: Sequence[_Edge]) -> Iterator[str]:
    group = [edge for edge in edges if (edge.target, edge.group) == (back.target, back.group)]
    if len(group) > 1 and back.wanted == "all":
        yield f"the activation group {back.group} of {back.target}, which waits for an edge that closes a cycle"


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
