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
from dataclasses import replace
from typing import Literal

from domain.errors import Conflict
from domain.graphflow.definition.cycles import topology
from domain.graphflow.definition.graph import Graph
from domain.graphflow.execution.schedule_state import (
    DONE,
    EXCEEDED,
    FAILED,
    GONE,
    NO_TOKEN,
    RUNNING,
    STATUSES,
    WAITING,
    NodeIteration,
    RunOutcome,
    ScheduleState,
    ScheduleStep,
    Status,
)
from domain.graphflow.execution.step_builder import StepBuilder


class Schedule:
    """The schedule of a graph. It keeps only the graph: every method is a function of its arguments."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.topology = topology(graph)
        self._index = {node.id: index for index, node in enumerate(graph.nodes)}

    def start(self) -> ScheduleStep:
        nodes, edges = len(self.graph.nodes), len(self.graph.edges)
        board = StepBuilder(self.graph, self.topology, ScheduleState(WAITING * nodes, NO_TOKEN * edges, (0,) * nodes))
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
        board = StepBuilder(self.graph, self.topology, state)
        return board.end_node(node, DONE, self._own_edges(node, taken))

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
        board = StepBuilder(self.graph, self.topology, state)
        match self.graph.nodes[node].on_error:
            case "continue":
                return board.end_node(node, DONE, self._own_edges(node, taken))
            case "goto":
                return board.end_node(node, GONE, self._error_edges(node))
        board.nodes[node] = FAILED
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
        nodes = state.nodes.replace(FAILED, RUNNING)
        ready = self.running_nodes(replace(state, nodes=nodes))
        if EXCEEDED in nodes:
            raise Conflict(f"{self.graph.nodes[nodes.index(EXCEEDED)].id} may not run more often than its max_visits")
        if not ready:
            raise Conflict("there is no failed node to resume")
        return ScheduleStep(replace(state, nodes=nodes, over=None), ready)

    def running_nodes(self, state: ScheduleState) -> tuple[NodeIteration, ...]:
        """Return the nodes that have started and not ended."""
        indices = [index for index, letter in enumerate(state.nodes) if letter == RUNNING]
        return tuple(NodeIteration(self.graph.nodes[index].id, state.visits[index]) for index in indices)

    def statuses(self, state: ScheduleState) -> dict[str, Status]:
        """Return each node's status, in the order of the definition."""
        return {node.id: STATUSES[letter] for node, letter in zip(self.graph.nodes, state.nodes, strict=True)}

    def nodes_to_compensate(self, completed: Iterable[NodeIteration]) -> tuple[NodeIteration, ...]:
        """Return the nodes to compensate, the latest first; `completed` is in the order of completion."""
        return tuple(each for each in completed if self.graph.nodes[self._index[each.node]].compensate)[::-1]

    def _running_index(self, state: ScheduleState, visit: NodeIteration) -> int:
        node = self._index[visit.node]
        if state.nodes[node] != RUNNING or state.visits[node] != visit.visit:
            raise Conflict(f"visit {visit.visit} of {visit.node} is not running")
        return node

    def _own_edges(self, node: int, taken: Collection[int]) -> frozenset[int]:
        drawn = {edge for edge in self.topology.outgoing[node] if self.graph.edges[edge].kind != "error"}
        if not drawn.issuperset(taken):
            raise ValueError(f"{self.graph.nodes[node].id} has no edges {sorted(set(taken) - drawn)}")
        return frozenset(taken)

    def _error_edges(self, node: int) -> frozenset[int]:
        return frozenset(e for e in self.topology.outgoing[node] if self.graph.edges[e].kind == "error")
