"""A rehearsal: a walk through a definition with sample outputs. No model or tool is called, and it costs nothing.

Agents, swarms, tools and other workflows return sample values, approvals are approved, waits end at once. Templates and
conditions are evaluated on these values. The first walk follows the conditions; each further one takes the other branch
once at one condition. It shows the reachable paths of a definition, and the results of its expressions on such values;
it does not show what a model would answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.graphflow.definition.model import Definition, MapNode, Node
from domain.graphflow.definition.node_types import (
    AgentWork,
    ApprovalWork,
    SwarmWork,
    ToolWork,
    TransformWork,
    WaitWork,
    WorkflowWork,
)
from domain.graphflow.definition.to_graph import graph_of
from domain.graphflow.execution.schedule_state import NodeIteration, RunOutcome, ScheduleStep
from domain.graphflow.execution.scheduler import Schedule
from domain.graphflow.expressions.cel import BadExpression, evaluate, is_true
from domain.graphflow.expressions.templates import fill, render
from domain.graphflow.generation.sample_data import instance
from domain.graphflow.validation.problems import Problem

MOST_WALKS = 41
"""The first walk, and twenty conditions with both of their outcomes."""
MOST_STEPS = 6_000
"""Limit on iterations and evaluations of all walks together: the walk that exceeds it is cut, and the last."""
_MOST_PROBLEMS = 50
_MOST_ITEMS = 3

_FIX = "It may go well on real values; if a value can be missing, ask has(…) first"


@dataclass(frozen=True, slots=True)
class ForcedBranch:
    """The outcome of a condition, by its edge's index, that is forced the first time it is evaluated."""

    edge: int
    taken: bool


@dataclass(frozen=True, slots=True)
class RehearsalWalk:
    """One path. `turned` names the forced outcome, as in `edge a -> b: taken`; None for the first walk.

    `status` is the end of such a run; `cut` if it exceeded the limit of steps. `reason` is why it would fail.
    """

    turned: str | None
    status: str
    visited: tuple[str, ...]
    skipped: tuple[str, ...]
    ends: tuple[str, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result of the walks: nodes that ran in one of them or in none, the ends, expressions that failed.

    `complete`: each condition was tried both ways.
    """

    visited: tuple[str, ...]
    skipped: tuple[str, ...]
    ends: tuple[str, ...]
    problems: tuple[Problem, ...]
    walks: tuple[RehearsalWalk, ...]
    complete: bool


def _never_late() -> bool:
    return False


def rehearse(definition: Definition, *, is_late: Callable[[], bool] = _never_late) -> Rehearsal:
    """Walk through a valid definition, until `is_late` returns True."""
    schedule = Schedule(graph_of(definition))
    conditions = [at for at, edge in enumerate(definition.edges) if edge.when is not None]
    wanted = [None, *(ForcedBranch(edge, taken) for edge in conditions for taken in (True, False))]
    walks: list[RehearsalWalk] = []
    problems: dict[Problem, None] = {}
    left = MOST_STEPS
    for forced in wanted[:MOST_WALKS]:
        actor = _Walker(definition, schedule, forced, left, is_late)
        walk = actor.walk()
        left -= actor.steps
        problems |= actor.problems
        if forced is None or actor.has_turned:
            walks.append(walk)
        if left <= 0 or is_late():
            break
    else:
        return _summarize(definition, walks, problems, complete=len(wanted) <= MOST_WALKS)
    return _summarize(definition, walks, problems, complete=False)


def _summarize(
    definition: Definition, walks: Sequence[RehearsalWalk], problems: Mapping[Problem, None], *, complete: bool
) -> Rehearsal:
    seen = {name for walk in walks for name in walk.visited}
    ends = dict.fromkeys(end for walk in walks for end in walk.ends)
    names = [node.id for node in definition.nodes]
    return Rehearsal(
        tuple(name for name in names if name in seen),
        tuple(name for name in names if name not in seen),
        tuple(ends),
        tuple(problems)[:_MOST_PROBLEMS],
        tuple(walks),
        complete,
    )


class _Walker:
    """One walk through a definition."""

    def __init__(
        self,
        definition: Definition,
        schedule: Schedule,
        forced: ForcedBranch | None,
        most: int,
        is_late: Callable[[], bool],
    ) -> None:
        self._definition, self._schedule, self._forced = definition, schedule, forced
        self._most, self._is_late = most, is_late
        self._nodes = definition.by_id()
        self._seen: dict[str, Any] = {name: {"status": "pending", "visit": 0} for name in self._nodes}
        self._input = instance(definition.input, "input")
        self.steps = 0
        self.visited: list[str] = []
        self.problems: dict[Problem, None] = {}
        self._has_come = False
        self.has_turned = False

    def walk(self) -> RehearsalWalk:
        step = self._mark_skipped(self._schedule.start())
        ready = [*step.ready]
        while ready and step.over is None and self.steps < self._most and not self._is_late():
            visit = ready.pop(0)
            self._visit(visit)
            step = self._mark_skipped(self._schedule.finish(step.state, visit, self._edges_to_take(visit)))
            ready.extend(step.ready)
        over = step.over or RunOutcome("failed", reason="the rehearsal takes too many visits")
        if over.status == "completed" and self._definition.output is not None:
            self._try("definition", "output", lambda: fill(self._definition.output, self._data(1)))
        return self._result(over, is_cut=step.over is None)

    def _result(self, over: RunOutcome, *, is_cut: bool) -> RehearsalWalk:
        visited = tuple(dict.fromkeys(self.visited))
        skipped = tuple(name for name in self._nodes if name not in visited)
        turned = None
        if self._forced is not None:
            turned = (
                f"{self._definition.edges[self._forced.edge].name}: {'taken' if self._forced.taken else 'not taken'}"
            )
        return RehearsalWalk(turned, "cut" if is_cut else over.status, visited, skipped, over.ends, over.reason)

    def _mark_skipped(self, step: ScheduleStep) -> ScheduleStep:
        for name in step.skipped:
            self._seen[name] = {"status": "skipped", "visit": self._seen[name]["visit"]}
        return step

    def _visit(self, visit: NodeIteration) -> None:
        self.visited.append(visit.node)
        self.steps += 1
        node = self._nodes[visit.node]
        self._seen[visit.node] = {**self._seen[visit.node], "status": "running", "visit": visit.visit}
        output = self._output_of(node, self._data(visit.visit))
        self._seen[visit.node] = {"status": "completed", "visit": visit.visit, "output": output}

    def _data(self, visit: int) -> dict[str, Any]:
        return {"input": self._input, "context": {}, "visit": visit, "nodes": self._seen}

    def _edges_to_take(self, visit: NodeIteration) -> tuple[int, ...]:
        holding = [
            at
            for at, edge in enumerate(self._definition.edges)
            if edge.source == visit.node and edge.when is not None and self._is_true(at, edge.when, visit)
        ]
        return self._schedule.edges_to_take(visit.node, holding)

    def _is_true(self, at: int, condition: str, visit: NodeIteration) -> bool:
        where = self._definition.edges[at].name
        held = bool(self._try(where, "when", lambda: is_true(condition, self._data(visit.visit))))
        if self._forced is None or self._forced.edge != at or self._has_come:
            return held
        self._has_come = True  # once only: forced each time, a loop would never end
        self.has_turned = self._forced.taken != held
        return self._forced.taken

    def _output_of(self, node: Node, data: Mapping[str, Any]) -> Any:
        if not isinstance(node, MapNode):
            return self._sample_output(node, node.id, "", data)
        items = self._try(f"node {node.id}", "over", lambda: evaluate(node.over, data))
        listed = items[:_MOST_ITEMS] if isinstance(items, list) else []
        return [self._sample_output(node.node, node.id, "node.", {**data, node.item: item}) for item in listed]

    def _sample_output(self, work: Any, name: str, field: str, data: Mapping[str, Any]) -> Any:  # noqa: PLR0911  (one return for each kind of work)
        """Return a node's sample output, after evaluating its real input."""
        where = f"node {name}"
        match work:
            case AgentWork():
                self._try(where, f"{field}prompt", lambda: render(work.prompt, data))
                return instance(work.output, name) if work.output else f"[what {work.agent} says at {name}]"
            case SwarmWork():
                self._try(where, f"{field}task", lambda: render(work.task, data))
                return f"[what the swarm agrees on at {name}]"
            case TransformWork():
                return {
                    key: self._try(where, f"{field}set.{key}", _evaluation(each, data))
                    for key, each in work.set.items()
                }
            case ApprovalWork():
                self._try(where, "title", lambda: render(work.title, data))
                content = self._try(where, "content", lambda: render(work.content, data))
                return {"approved": True, "status": "approved", "content": content or "", "comment": ""}
            case ToolWork():
                self._try(where, f"{field}arguments", lambda: fill(work.arguments, data))
                return f"[what {work.tool} gives at {name}]"
            case WorkflowWork():
                self._try(where, f"{field}input", lambda: fill(work.input, data))
                return f"[what {work.workflow} gives at {name}]"
            case WaitWork(until=str(until)):
                self._try(where, "until", lambda: render(until, data))
        return {"timed_out": False, "payload": {}}

    def _try(self, where: str, field: str, make: Any) -> Any:
        """Return the evaluated value; None if it fails, which is a problem, or if it is late."""
        self.steps += 1
        if self._is_late():
            return None
        try:
            return make()
        except BadExpression as error:
            self.problems[Problem("expression_failed", where, field, error.reason, _FIX)] = None
            return None


def _evaluation(expression: str, data: Mapping[str, Any]) -> Any:
    return lambda: evaluate(expression, data)
