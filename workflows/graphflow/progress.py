"""The progress of an execution: ready, running and settled nodes, and their table in the Web UI."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.graphflow.messages import AttemptEnd
    from domain.graphflow.definition.graph import GraphNode
    from domain.graphflow.execution.schedule_state import NodeIteration, RunOutcome, ScheduleState, ScheduleStep
    from domain.graphflow.execution.scheduler import Schedule

_MAX_ROWS = 100


@dataclass
class RunProgress:
    """The progress of an execution.

    `attempts` are the failed attempts of running nodes; `skipped` are nodes that are not recorded as skipped yet;
    `kept` nodes keep their earlier output, and only what follows from it is scheduled again.
    """

    schedule: Schedule
    state: ScheduleState
    name: str
    ready: deque[NodeIteration] = field(default_factory=deque)
    completed: list[NodeIteration] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, None] = field(default_factory=dict)
    code: str | None = None
    kept: set[str] = field(default_factory=set)
    _doing: dict[str, str] = field(default_factory=dict)
    _what: str = "running"
    _shows: bool = False
    _specs: dict[str, GraphNode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._specs = {node.id: node for node in self.schedule.graph.nodes}

    def apply(self, step: ScheduleStep) -> None:
        """Apply a step of the schedule."""
        self.state = step.state
        self.ready.extend(step.ready)
        self.skipped.update(dict.fromkeys(step.skipped))
        for visit in step.ready:
            self.skipped.pop(visit.node, None)

    def settle(self, visit: NodeIteration, ended: AttemptEnd) -> None:
        """Apply a node's final end."""
        self.attempts.pop(visit.node, None)
        if ended.status == "completed":
            self.apply(self.schedule.finish(self.state, visit, ended.taken))
            if self.spec(visit.node).compensate:
                self.completed.append(visit)
            return
        status: Literal["rejected", "failed"] = "rejected" if ended.status == "rejected" else "failed"
        self.apply(self.schedule.fail(self.state, visit, ended.taken, status=status, reason=ended.error))
        over = self.state.over
        if over and over.node == visit.node and self.code is None:
            self.code = ended.code

    def mark_recorded(self, skipped: Iterable[str]) -> None:
        """Remove nodes whose skipping has been recorded."""
        for node in skipped:
            self.skipped.pop(node, None)

    def spec(self, node: str) -> GraphNode:
        return self._specs[node]

    @property
    def over(self) -> RunOutcome | None:
        return self.state.over

    def to_plain_state(self) -> dict[str, Any]:
        """Return the schedule's state as plain JSON values."""
        state, over = self.state, self.state.over
        plain = {"nodes": state.nodes, "edges": state.edges, "visits": list(state.visits)}
        if over is None:
            return plain
        fields = {name: getattr(over, name) for name in RunOutcome.__dataclass_fields__}
        return {**plain, "over": {**fields, "ends": list(over.ends)}}

    def mark(self, node: str, doing: str) -> None:
        """Set a node's status text."""
        self._doing[node] = doing
        self.schedule_update()

    def schedule_update(self, what: str | None = None) -> None:
        """Update the details in the Web UI, once for all changes of the same event loop turn."""
        self._what = what or self._what
        if not self._shows:
            self._shows = True
            asyncio.get_running_loop().call_soon(self._write_details)

    def _write_details(self) -> None:
        self._shows = False
        statuses = self.schedule.statuses(self.state)
        visits = dict(zip(statuses, self.state.visits, strict=True))
        rows = [
            f"| {node} | {visits[node]} | {self._doing.get(node, status) if status == 'running' else status} |"
            for node, status in [*statuses.items()][:_MAX_ROWS]
        ]
        done = sum(status in {"completed", "skipped"} for status in statuses.values())
        table = "\n".join(["| node | visits | state |", "|---|---|---|", *rows])
        workflow.set_current_details(
            f"**{self.name}** · {self._what} · {done} of {len(statuses)} nodes settled\n\n{table}"
        )
