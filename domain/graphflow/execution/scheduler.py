"""The schedule of a run: ready nodes, skipped nodes and the end, as pure functions of a graph and a state.

**Tokens.** Each node is *settled* once: it runs and ends, or it is skipped. Then each of its outgoing edges gets one
token: live if the edge was taken, else dead. A node whose incoming edges decide so starts, or is skipped:

- `all` starts when every incoming edge has its token and one of them is live; it is skipped when all are dead;
- `any` starts at the first live token; later ones change nothing; it is skipped when all are dead;
- *n* starts at the *n*-th live token, and is skipped as soon as *n* cannot be reached any more.

A node without incoming edges starts with the run. A skipped node puts dead tokens on all of its edges. So each edge
gets one token and each node is settled once, in whatever order nodes finish.

**Cycles** (`domain/graphflow/definition/cycles.py`) run in rounds. Back edges do not count for joins. A round of a
cycle ends when all nodes in it are settled. If a back edge was taken in it, the next round starts: the entries
that it leads to run again by themselves, other entries are skipped, all other nodes in the cycle are unsettled again.
If none was, the cycle has come to rest. An edge that leaves a cycle is live at once when it is first taken; taken
again it changes nothing; it is dead when the cycle has come to rest without taking it. So outside a cycle each edge
gets one token too.

**Failures.** A node may run `max_visits` times; once more is a failure of the run that names it. A node that fails ends
the run (`fail`), or goes on as if it had finished (`continue`), or takes its error edge and no other (`goto`). Who
finishes after a run has failed or was cancelled is settled still, but nothing new is ready; `reopened` goes on from
there with what had failed or not finished, under the same visits.

**The end.** When all is settled the run is completed, with the ends that were reached: nodes without outgoing edges
that finished. If none was, the run has failed: conditions led nowhere.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from domain.errors import Conflict
from domain.graphflow.definition.cycles import WHOLE, topology
from domain.graphflow.definition.graph import Graph

Status = Literal["pending", "running", "completed", "failed", "skipped"]

_WAITING, _RUNNING, _DONE, _GONE, _SKIPPED, _FAILED, _EXCEEDED = ".rdgsfx"
_STATUS: dict[str, Status] = {
    _WAITING: "pending",
    _RUNNING: "running",
    _DONE: "completed",
    _GONE: "failed",
    _SKIPPED: "skipped",
    _FAILED: "failed",
    _EXCEEDED: "failed",
}
_SETTLED = frozenset({_DONE, _GONE, _SKIPPED})
_LIVE, _DEAD, _NONE = "+-."


@dataclass(frozen=True, slots=True)
class NodeIteration:
    """One iteration of a node; `visit` counts from 1."""

    node: str
    visit: int


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The end of a run. `ends` are the end nodes that were reached; `node` and `code` say what failed."""

    status: Literal["completed", "failed", "rejected", "cancelled"]
    ends: tuple[str, ...] = ()
    node: str | None = None
    visit: int | None = None
    code: Literal["NODE_FAILED", "MAX_VISITS", "NO_END"] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """The state of a schedule: a letter for each node and edge, and the iterations of each node. Small, plain JSON."""

    nodes: str
    edges: str
    visits: tuple[int, ...]
    over: RunOutcome | None = None


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """The result of a step. `ready` nodes start now; `skipped` nodes were settled without running in this round."""

    state: ScheduleState
    ready: tuple[NodeIteration, ...] = ()
    skipped: tuple[str, ...] = ()
    over: RunOutcome | None = None


class Schedule:
    """The schedule of a graph. It keeps only the graph: every method is a function of its arguments."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.topology = topology(graph)
        self._index = {node.id: index for index, node in enumerate(graph.nodes)}

    def start(self) -> ScheduleStep:
        nodes, edges = len(self.graph.nodes), len(self.graph.edges)
        board = _ScheduleBuilder(self, ScheduleState(_WAITING * nodes, _NONE * edges, (0,) * nodes))
        return board.decide_all(range(nodes))

    def edges_to_take(self, node: str, holding: Collection[int]) -> tuple[int, ...]:
        """Return the edges that a finished node takes, given its `when` edges that are true."""
        plain = [(edge, self.graph.edges[edge].kind) for edge in self.topology.outgoing[self._index[node]]]
        chosen = tuple(edge for edge, kind in plain if kind == "always" or (kind == "when" and edge in holding))
        return chosen or tuple(edge for edge, kind in plain if kind == "otherwise")

    def finish(self, state: ScheduleState, visit: NodeIteration, taken: Collection[int]) -> ScheduleStep:
        """Settle a node that has completed and takes these edges.

        Raises:
            Conflict: it is not running, or not in this iteration.
            ValueError: an edge is not one of its own.
        """
        node = self._running_index(state, visit)
        board = _ScheduleBuilder(self, state)
        return board.end_node(node, _DONE, self._own_edges(node, taken))

    def fail(
        self,
        state: ScheduleState,
        visit: NodeIteration,
        taken: Collection[int] = (),
        *,
        status: Literal["failed", "rejected"] = "failed",
        reason: str | None = None,
    ) -> ScheduleStep:
        """Settle a node that has failed, or was rejected, for good. `taken` counts if `on_error` is `continue`.

        Raises:
            Conflict, ValueError: as for `finished`.
        """
        node = self._running_index(state, visit)
        board = _ScheduleBuilder(self, state)
        match self.graph.nodes[node].on_error:
            case "continue":
                return board.end_node(node, _DONE, self._own_edges(node, taken))
            case "goto":
                return board.end_node(node, _GONE, self._error_edges(node))
        board.nodes[node] = _FAILED
        board.over = board.over or RunOutcome(status, (), visit.node, visit.visit, "NODE_FAILED", reason)
        return board.step()

    def cancel(self, state: ScheduleState) -> ScheduleStep:
        """Cancel the run: no new node starts. Ended nodes stay as they ended."""
        over = state.over or RunOutcome("cancelled")
        return ScheduleStep(replace(state, over=over), over=over)

    def reopen(self, state: ScheduleState) -> ScheduleStep:
        """Reopen a run that failed, was rejected or was cancelled: failed and unfinished nodes are ready again.

        Raises:
            Conflict: it has not ended, or there is nothing to resume.
        """
        if state.over is None:
            raise Conflict("the run has not ended")
        if state.over.status == "completed":
            raise Conflict("all its nodes have completed, and its output would fail again: start a new run")
        nodes = state.nodes.replace(_FAILED, _RUNNING)
        ready = self.running_nodes(replace(state, nodes=nodes))
        if _EXCEEDED in nodes:
            raise Conflict(f"{self.graph.nodes[nodes.index(_EXCEEDED)].id} may not run more often than its max_visits")
        if not ready:
            raise Conflict("there is no failed node to resume")
        return ScheduleStep(replace(state, nodes=nodes, over=None), ready)

    def running_nodes(self, state: ScheduleState) -> tuple[NodeIteration, ...]:
        """Return the nodes that have started and not ended."""
        indices = [index for index, letter in enumerate(state.nodes) if letter == _RUNNING]
        return tuple(NodeIteration(self.graph.nodes[index].id, state.visits[index]) for index in indices)

    def statuses(self, state: ScheduleState) -> dict[str, Status]:
        """Return each node's status, in the order of the definition."""
        return {node.id: _STATUS[letter] for node, letter in zip(self.graph.nodes, state.nodes, strict=True)}

    def nodes_to_compensate(self, completed: Iterable[NodeIteration]) -> tuple[NodeIteration, ...]:
        """Return the nodes to compensate, the latest first; `completed` is in the order of completion."""
        return tuple(each for each in completed if self.graph.nodes[self._index[each.node]].compensate)[::-1]

    def _running_index(self, state: ScheduleState, visit: NodeIteration) -> int:
        node = self._index[visit.node]
        if state.nodes[node] != _RUNNING or state.visits[node] != visit.visit:
            raise Conflict(f"visit {visit.visit} of {visit.node} is not running")
        return node

    def _own_edges(self, node: int, taken: Collection[int]) -> frozenset[int]:
        drawn = {edge for edge in self.topology.outgoing[node] if self.graph.edges[edge].kind != "error"}
        if not drawn.issuperset(taken):
            raise ValueError(f"{self.graph.nodes[node].id} has no edges {sorted(set(taken) - drawn)}")
        return frozenset(taken)

    def _error_edges(self, node: int) -> frozenset[int]:
        return frozenset(e for e in self.topology.outgoing[node] if self.graph.edges[e].kind == "error")


class _ScheduleBuilder:
    """The mutable state during one step."""

    def __init__(self, schedule: Schedule, state: ScheduleState) -> None:
        self.graph, self.topology = schedule.graph, schedule.topology
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
        if self.nodes[node] != _WAITING:
            return
        incoming = self.topology.incoming[node]
        tokens = [self.edges[edge] for edge in incoming]
        live, open_ = tokens.count(_LIVE), tokens.count(_NONE)
        join = self.graph.nodes[node].join
        needed = join if isinstance(join, int) else 1
        if not incoming or (live >= needed and (join != "all" or not open_)):
            self._begin(node)
        elif live + open_ < needed:
            self._skip(node)

    def _begin(self, node: int) -> None:
        spec = self.graph.nodes[node]
        if self.visits[node] >= spec.max_visits:
            self.nodes[node] = _EXCEEDED
            reason = f"{spec.id} would run once more than its max_visits of {spec.max_visits}"
            self.over = self.over or RunOutcome("failed", (), spec.id, self.visits[node], "MAX_VISITS", reason)
            return
        self.visits[node] += 1
        self.nodes[node] = _RUNNING
        self._ready.append(NodeIteration(spec.id, self.visits[node]))

    def _skip(self, node: int) -> None:
        self._skipped.append(self.graph.nodes[node].id)
        self._settle(node, _SKIPPED, ())

    def _settle(self, node: int, how: str, taken: Collection[int]) -> None:
        self.nodes[node] = how
        self._touched.update(self.topology.regions_around(node))
        for edge in self.topology.outgoing[node]:
            self._send(edge, live=edge in taken)

    def _send(self, edge: int, *, live: bool) -> None:
        leaving = edge in self.topology.back or self.topology.leaves[edge] is not None
        if self.edges[edge] == _NONE and (live or not leaving):
            self._put(edge, _LIVE if live else _DEAD)

    def _put(self, edge: int, token: str) -> None:
        self.edges[edge] = token
        if edge not in self.topology.back:
            self._undecided.append(self.graph.edges[edge].target)

    def _end_round(self, index: int) -> None:
        region = self.topology.regions[index]
        if not all(self.nodes[node] in _SETTLED for node in region.members):
            return
        again = {self.graph.edges[edge].target for edge in region.back if self.edges[edge] == _LIVE}
        if again:
            self._next_round(index, again)
            return
        for edge in self.topology.exits[index]:
            if self.edges[edge] == _NONE:
                self._put(edge, _DEAD)
        if index == WHOLE:
            self._end()

    def _next_round(self, index: int, again: Collection[int]) -> None:
        region = self.topology.regions[index]
        for node in region.members:
            self.nodes[node] = _WAITING
            for edge in self.topology.outgoing[node]:
                if self.graph.edges[edge].target in region.members:
                    self.edges[edge] = _NONE
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
        return self.nodes[node] == _DONE and not drawn
