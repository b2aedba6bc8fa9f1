"""One step of a schedule: tokens on edges, joins, and rounds of cycles.

`domain/graphflow/execution/scheduler.py` specifies the rules.
"""

from collections.abc import Collection, Iterable

from domain.graphflow.definition.cycles import WHOLE, Topology
from domain.graphflow.definition.graph import Graph
from domain.graphflow.execution.schedule_state import (
    DEAD,
    DONE,
    EXCEEDED,
    LIVE,
    NO_TOKEN,
    RUNNING,
    SETTLED,
    SKIPPED,
    WAITING,
    NodeIteration,
    RunOutcome,
    ScheduleState,
    ScheduleStep,
)


class StepBuilder:
    """The mutable state during one step of a schedule."""

    def __init__(self, graph: Graph, topology: Topology, state: ScheduleState) -> None:
        self.graph, self.topology = graph, topology
        self.nodes, self.edges, self.visits = list(state.nodes), list(state.edges), list(state.visits)
        self.over = state.over
        self._ready: list[NodeIteration] = []
        self._skipped: list[str] = []
        self._undecided: list[int] = []
        self._touched: set[int] = set()

    def end_node(self, node: int, how: str, taken: Collection[int]) -> ScheduleStep:
        self._settle(node, how, taken)
        return self.decide_all(())

    def decide_all(self, undecided: Iterable[int]) -> ScheduleStep:
        """Decide all nodes that can be decided now."""
        self._undecided.extend(undecided)
        while self._undecided or self._touched:
            while self._undecided:
                self._decide(self._undecided.pop())
            if self._touched:  # inner regions have the greater numbers, and have to end first
                region = max(self._touched)
                self._touched.remove(region)
                self._end_round(region)
        return self.step()

    def step(self) -> ScheduleStep:
        state = ScheduleState("".join(self.nodes), "".join(self.edges), tuple(self.visits), self.over)
        return ScheduleStep(state, () if self.over else tuple(self._ready), tuple(self._skipped), self.over)

    def _decide(self, node: int) -> None:
        if self.nodes[node] != WAITING:
            return
        incoming = self.topology.incoming[node]
        tokens = [self.edges[edge] for edge in incoming]
        live, open_ = tokens.count(LIVE), tokens.count(NO_TOKEN)
        join = self.graph.nodes[node].join
        needed = join if isinstance(join, int) else 1
        if not incoming or (live >= needed and (join != "all" or not open_)):
            self._begin(node)
        elif live + open_ < needed:
            self._skip(node)

    def _begin(self, node: int) -> None:
        spec = self.graph.nodes[node]
        if self.visits[node] >= spec.max_visits:
            self.nodes[node] = EXCEEDED
            reason = f"{spec.id} would run once more than its max_visits of {spec.max_visits}"
            self.over = self.over or RunOutcome("failed", (), spec.id, self.visits[node], "MAX_VISITS", reason)
            return
        self.visits[node] += 1
        self.nodes[node] = RUNNING
        self._ready.append(NodeIteration(spec.id, self.visits[node]))

    def _skip(self, node: int) -> None:
        self._skipped.append(self.graph.nodes[node].id)
        self._settle(node, SKIPPED, ())

    def _settle(self, node: int, how: str, taken: Collection[int]) -> None:
        self.nodes[node] = how
        self._touched.update(self.topology.regions_around(node))
        for edge in self.topology.outgoing[node]:
            self._send(edge, live=edge in taken)

    def _send(self, edge: int, *, live: bool) -> None:
        leaving = edge in self.topology.back or self.topology.leaves[edge] is not None
        if self.edges[edge] == NO_TOKEN and (live or not leaving):
            self._put(edge, LIVE if live else DEAD)

    def _put(self, edge: int, token: str) -> None:
        self.edges[edge] = token
        if edge not in self.topology.back:
            self._undecided.append(self.graph.edges[edge].target)

    def _end_round(self, index: int) -> None:
        region = self.topology.regions[index]
        if not all(self.nodes[node] in SETTLED for node in region.members):
            return
        again = {self.graph.edges[edge].target for edge in region.back if self.edges[edge] == LIVE}
        if again:
            self._next_round(index, again)
            return
        for edge in self.topology.exits[index]:
            if self.edges[edge] == NO_TOKEN:
                self._put(edge, DEAD)
        if index == WHOLE:
            self._end()

    def _next_round(self, index: int, again: Collection[int]) -> None:
        region = self.topology.regions[index]
        for node in region.members:
            self.nodes[node] = WAITING
            for edge in self.topology.outgoing[node]:
                if self.graph.edges[edge].target in region.members:
                    self.edges[edge] = NO_TOKEN
        for node in sorted(region.entries):
            if node in again:
                self._begin(node)
            else:
                self._skip(node)
        self._undecided.extend(sorted(region.members - region.entries))

    def _end(self) -> None:
        ends = tuple(node.id for index, node in enumerate(self.graph.nodes) if self._is_reached_end(index))
        reason = "no condition led on to an end"
        self.over = self.over or (
            RunOutcome("completed", ends) if ends else RunOutcome("failed", code="NO_END", reason=reason)
        )

    def _is_reached_end(self, node: int) -> bool:
        drawn = any(self.graph.edges[edge].kind != "error" for edge in self.topology.outgoing[node])
        return self.nodes[node] == DONE and not drawn
