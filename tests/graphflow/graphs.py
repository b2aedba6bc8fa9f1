"""Graphs to try schedules on: drawn by hand or at random, and a slow reading of the rules to compare with."""

import json
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hypothesis import strategies as st

from domain.graphflow.definition.graph import Graph, GraphEdge, GraphNode
from domain.graphflow.execution.schedule_state import NodeIteration, ScheduleState, ScheduleStep
from domain.graphflow.execution.scheduler import Schedule

Choice = Callable[[int, int], frozenset[int]]
"""Which edges a visit of a node takes."""


def drawn(*ways: str, **settings: dict[str, Any]) -> Graph:
    """A graph from ways such as `a b c`; settings by node, such as `c={"join": "any"}`."""
    names = list(dict.fromkeys(name for way in ways for name in way.split()))
    pairs = [pair for way in ways for pair in zip(way.split(), way.split()[1:], strict=False)]
    nodes = [
        GraphNode(
            name,
            "transform",
            **{"max_visits": 100, **{key: value for key, value in settings.get(name, {}).items() if key != "goto"}},
            **({"on_error": "goto"} if "goto" in settings.get(name, {}) else {}),
        )
        for name in names
    ]
    edges = [GraphEdge(names.index(source), names.index(target)) for source, target in dict.fromkeys(pairs)]
    errors = [
        GraphEdge(names.index(name), names.index(each["goto"]), "error")
        for name, each in settings.items()
        if "goto" in each
    ]
    return Graph(tuple(nodes), tuple(edges + errors))


@st.composite
def graphs(draw: st.DrawFn, most: int = 8) -> Graph:
    """Any graph, cycles in cycles and parallel edges included."""
    many = draw(st.integers(1, most))
    joins = st.sampled_from(["all", "all", "any", 1, 2, 3])
    nodes = [
        GraphNode(f"n{each}", "transform", join=draw(joins), max_visits=draw(st.sampled_from([1, 3, 50])))
        for each in range(many)
    ]
    ends = st.tuples(st.integers(0, many - 1), st.integers(0, many - 1))
    edges = draw(st.lists(ends, max_size=many * 2))
    return Graph(tuple(nodes), tuple(GraphEdge(source, target) for source, target in edges))


def choice(graph: Graph, seed: int, share: float) -> Choice:
    """Conditions that are fixed for each visit; edges get rarer from visit to visit, so that most cycles end."""

    def chosen(node: int, visit: int) -> frozenset[int]:
        chance = random.Random(f"{seed}/{node}/{visit}")  # noqa: S311  (no secret)
        own = [index for index, edge in enumerate(graph.edges) if edge.source == node and edge.kind != "error"]
        return frozenset(edge for edge in own if chance.random() < (share if visit < 3 else share / 2))

    return chosen


@dataclass
class Played:
    fired: Counter[tuple[str, int]]
    last: ScheduleStep
    skips: int


def play(graph: Graph, choose: Choice, seed: int = 0) -> Played:
    """Runs a schedule to its end; what finishes next is by chance."""
    chance = random.Random(seed)  # noqa: S311  (no secret)
    schedule = Schedule(graph)
    step = schedule.start()
    fired: Counter[tuple[str, int]] = Counter()
    running: list[NodeIteration] = []
    skips = 0
    while True:
        fired.update((each.node, each.visit) for each in step.ready)
        running += step.ready
        skips += len(step.skipped)
        assert set(running) == set(schedule.running_nodes(step.state)) or step.over
        if step.over or not running:
            return Played(fired, step, skips)
        visit = running.pop(chance.randrange(len(running)))
        index = next(i for i, node in enumerate(graph.nodes) if node.id == visit.node)
        step = schedule.finish(through_json(step.state), visit, choose(index, visit.visit))


def through_json(state: ScheduleState) -> ScheduleState:
    fields = json.loads(json.dumps(asdict(state)))
    return ScheduleState(fields["nodes"], fields["edges"], tuple(fields["visits"]))


class TooManyVisitsError(Exception):
    pass


class Slow:
    """The rules once more: whole rounds one after the other, each in a topological order, every token known."""

    def __init__(self, graph: Graph, choose: Choice) -> None:
        self.graph, self.choose = graph, choose
        self.fired: Counter[tuple[str, int]] = Counter()
        self.visits = [0] * len(graph.nodes)
        self.back: set[int] = set()
        self.tree = self._split(frozenset(range(len(graph.nodes))), frozenset(), set())

    def play(self) -> Counter[tuple[str, int]]:
        self._run(self.tree, set())
        return self.fired

    def _split(self, members: frozenset[int], entries: frozenset[int], cut: set[int]) -> Any:
        own = {i for i, edge in enumerate(self.graph.edges) if {edge.source, edge.target} <= members and i not in cut}
        back = {i for i in own if self.graph.edges[i].target in entries}
        self.back |= back
        kept = own - back
        inner, direct = [], set(members)
        for node in sorted(members):
            if node not in direct:
                continue
            together = {n for n in members if self._leads(node, n, kept) and self._leads(n, node, kept)}
            if together:
                outside = {
                    edge.target for edge in self.graph.edges if edge.target in together and edge.source not in together
                }
                inner.append((frozenset(together), frozenset(outside or {min(together)}), cut | back))
                direct -= together
        regions = [self._split(*each) for each in inner]
        return {"members": members, "entries": entries, "back": back, "direct": direct, "inner": regions, "own": kept}

    def _leads(self, source: int, target: int, edges: Collection[int]) -> bool:
        seen: set[int] = set()
        waiting = [source]
        while waiting:
            node = waiting.pop()
            for index in edges:
                edge = self.graph.edges[index]
                if edge.source == node and edge.target not in seen:
                    seen.add(edge.target)
                    waiting.append(edge.target)
        return target in seen

    def _run(self, region: Any, coming: set[int]) -> set[int]:
        leaving: set[int] = set()
        again: set[int] | None = None
        while True:
            live: set[int] = set()
            for unit in self._sorted(region):
                taken = self._unit(unit, region, coming | live, again)
                live |= {edge for edge in taken if self.graph.edges[edge].target in region["members"]}
                leaving |= {edge for edge in taken if self.graph.edges[edge].target not in region["members"]}
            again = {self.graph.edges[edge].target for edge in live & region["back"]}
            if not again:
                return leaving

    def _unit(self, unit: Any, region: Any, live: set[int], again: set[int] | None) -> Iterable[int]:
        if isinstance(unit, dict):
            return self._run(unit, live)
        if again is not None and unit in region["entries"]:
            return self._fire(unit) if unit in again else ()
        incoming = {i for i, edge in enumerate(self.graph.edges) if edge.target == unit and i not in self.back}
        join = self.graph.nodes[unit].join
        needed = join if isinstance(join, int) else 1
        return self._fire(unit) if not incoming or len(incoming & live) >= needed else ()

    def _fire(self, node: int) -> frozenset[int]:
        if self.visits[node] >= self.graph.nodes[node].max_visits:
            raise TooManyVisitsError
        self.visits[node] += 1
        self.fired[self.graph.nodes[node].id, self.visits[node]] += 1
        return self.choose(node, self.visits[node])

    def _sorted(self, region: Any) -> list[Any]:
        units = [*region["direct"], *region["inner"]]
        nodes = [unit["members"] if isinstance(unit, dict) else {unit} for unit in units]
        before = {
            at: {
                other
                for other, there in enumerate(nodes)
                if other != at
                for index in region["own"]
                if self.graph.edges[index].source in there and self.graph.edges[index].target in here
            }
            for at, here in enumerate(nodes)
        }
        order: list[int] = []
        while len(order) < len(units):
            order.append(next(at for at in before if at not in order and before[at] <= set(order)))
        return [units[at] for at in order]
