"""What is said to have run before a node has, however a run goes."""

import random
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.graphflow.definition.graph import EdgeKind, Graph, GraphEdge
from domain.graphflow.execution.scheduler import Schedule
from domain.graphflow.validation.reachability import reachability_of
from tests.graphflow.graphs import drawn, graphs


@st.composite
def kinds_of_edges(draw: st.DrawFn) -> Graph:
    """Any graph, with conditions, otherwise and error edges (one for a node at most)."""
    graph = draw(graphs(7))
    kinds: list[EdgeKind] = []
    failing: set[int] = set()
    for edge in graph.edges:
        kind: EdgeKind = draw(st.sampled_from(["always", "always", "when", "otherwise", "error"]))
        kinds.append("when" if kind == "error" and edge.source in failing else kind)
        failing |= {edge.source} if kind == "error" else set()
    nodes = [replace(node, on_error="goto" if at in failing else "fail") for at, node in enumerate(graph.nodes)]
    edges = [GraphEdge(edge.source, edge.target, kind) for edge, kind in zip(graph.edges, kinds, strict=True)]
    return Graph(tuple(nodes), tuple(edges))


@settings(max_examples=1000, deadline=None)
@given(kinds_of_edges(), st.integers(0, 2**32))
def test_what_surely_has_run_has(graph: Graph, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  (no secret)
    schedule, order = Schedule(graph), reachability_of(graph)
    index = {node.id: at for at, node in enumerate(graph.nodes)}
    well: set[int] = set()
    step = schedule.start()
    while True:
        for visit in step.ready:
            assert order.sure[index[visit.node]] <= well
            assert order.sure[index[visit.node]] <= order.possible[index[visit.node]]
        running = schedule.running_nodes(step.state)
        if step.over or not running:
            break
        visit = running[chance.randrange(len(running))]
        node = index[visit.node]
        if graph.nodes[node].on_error == "goto" and chance.random() < 0.4:
            step = schedule.fail(step.state, visit)
        else:
            well.add(node)
            holding = {edge for edge in range(len(graph.edges)) if chance.random() < 0.5}
            step = schedule.finish(step.state, visit, schedule.edges_to_take(visit.node, holding))
    if step.over and step.over.status == "completed":
        assert order.always <= well


def names(graph: Graph, nodes: frozenset[int]) -> str:
    return "".join(sorted(graph.nodes[node].id for node in nodes))


def test_both_sides_of_a_diamond_have_run_and_only_a_waiting_join_knows() -> None:
    waiting = drawn("a b d", "a c d")
    assert names(waiting, reachability_of(waiting).sure[2]) == "abc"
    hasty = drawn("a b d", "a c d", d={"join": "any"})
    assert names(hasty, reachability_of(hasty).sure[2]) == "a"


def test_one_of_two_ways_is_always_taken_where_one_is_otherwise() -> None:
    plain = drawn("a b d", "a c d")
    kinds: list[EdgeKind] = ["when", "always", "otherwise", "always"]
    graph = Graph(plain.nodes, tuple(replace(e, kind=k) for e, k in zip(plain.edges, kinds, strict=True)))
    assert names(graph, reachability_of(graph).always) == "ad"


def test_the_round_before_is_possible_and_not_sure() -> None:
    graph = drawn("in work check out", "check work")
    assert names(graph, reachability_of(graph).possible[1]) == "checkinwork"
    assert names(graph, reachability_of(graph).sure[1]) == "in"
