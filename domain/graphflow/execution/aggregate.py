"""One run of a workflow: started, its nodes ended one by one, ended, and possibly reopened."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from domain.errors import Conflict, NotFound
from domain.events import Event
from domain.graphflow.execution.events import (
    AttemptFailed,
    NodeBegun,
    NodeCompensated,
    NodeEnded,
    NodeEvent,
    NodeHeld,
    RunEnded,
    RunPaused,
    RunReopened,
    RunResumed,
    RunStarted,
)


def stream(execution_id: str) -> str:
    return f"run:{execution_id}"


def item_stream(execution_id: str, node: str, visit: int, item: int) -> str:
    return f"item:{execution_id}:{node}:{visit}:{item}"


@dataclass(frozen=True, slots=True)
class NodeRun:
    """The state of a node in its newest iteration; `begun` and `ended` may be of an earlier one."""

    visit: int = 0
    attempt: int = 0
    begun: NodeBegun | None = None
    ended: NodeEnded | None = None
    skipped: bool = False
    held: str | None = None


NOT_STARTED = NodeRun()


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """The state of a run. `ended` is its newest end, None while it is open.

    `completed` are nodes with their iterations, in the order of completion. `reopened` is the last reopening, `stood`
    the schedule's state then, and `moved` is True once a node event has followed it.
    """

    version: int = 0
    started: RunStarted | None = None
    nodes: Mapping[str, NodeRun] = field(default_factory=dict)
    paused: bool = False
    ended: RunEnded | None = None
    undone: frozenset[tuple[str, int]] = frozenset()
    completed: tuple[tuple[str, int], ...] = ()
    reopened: RunReopened | None = None
    stood: Mapping[str, Any] | None = None
    moved: bool = False

    @property
    def start_event(self) -> RunStarted:
        """The start of the run.

        Raises:
            NotFound: it has not started.
        """
        if self.started is None:
            raise NotFound("there is no such execution")
        return self.started

    def node(self, node: str) -> NodeRun:
        return self.nodes.get(node, NOT_STARTED)


def evolve(run: WorkflowRun, event: Event) -> WorkflowRun:  # noqa: PLR0911  (one return for each kind of event)
    run = replace(run, version=run.version + 1)
    match event:
        case RunStarted():
            return replace(run, started=event)
        case NodeEvent():
            done = isinstance(event, NodeEnded) and event.status == "completed"
            completed = (*run.completed, (event.node, event.visit)) if done else run.completed
            return replace(run, nodes=_apply_node_event(run, event), completed=completed, moved=True)
        case NodeCompensated():
            return replace(run, undone=run.undone | {(event.node, event.visit)})
        case RunPaused() | RunResumed():
            return replace(run, paused=isinstance(event, RunPaused))
        case RunReopened():
            stood = run.ended.state if run.ended else None
            return replace(run, ended=None, paused=False, reopened=event, stood=stood, moved=False)
        case RunEnded():
            return replace(run, ended=event, nodes=_skip_nodes(run, event.skipped))
        case _:
            return run


def load(events: Iterable[Event]) -> WorkflowRun:
    return reduce(evolve, events, WorkflowRun())


def begin(run: WorkflowRun, event: NodeBegun) -> list[Event]:
    """Start an attempt, once."""
    node = run.node(event.node)
    begun = node.begun
    same = begun is not None and (begun.visit, begun.attempt) == (event.visit, event.attempt)
    return [] if same or has_ended(run, event) else [event]


def hold(run: WorkflowRun, event: NodeHeld) -> list[Event]:
    """Wait for an approval, once for each."""
    return [] if run.node(event.node).held == event.approval_id or has_ended(run, event) else [event]


def fail_attempt(run: WorkflowRun, event: AttemptFailed) -> list[Event]:
    """Record a failed attempt, once."""
    node = run.node(event.node)
    return [] if has_ended(run, event) or (node.visit, node.attempt) > (event.visit, event.attempt) else [event]


def end_node(run: WorkflowRun, event: NodeEnded) -> list[Event]:
    """End a node, once for each attempt: the first end counts."""
    return [] if has_ended(run, event) else [event]


def has_ended(run: WorkflowRun, event: NodeEvent) -> bool:
    """Return True if this attempt, or a later one, has ended."""
    ended = run.node(event.node).ended
    return ended is not None and (ended.visit, ended.attempt) >= (event.visit, event.attempt)


def end(run: WorkflowRun, event: RunEnded) -> list[Event]:
    """End the run, once: the first end counts.

    Raises:
        NotFound: it has not started.
    """
    return [] if run.start_event and run.ended else [event]


def reopen(run: WorkflowRun, event: RunReopened) -> list[Event]:
    """Reopen an ended run, once for each request.

    Raises:
        NotFound: it has not started.
        Conflict: it has not ended, has completed, or was compensated.
    """
    ended = run.ended if run.start_event else None
    if ended is None and run.reopened and run.reopened.because == event.because:
        return []
    if ended is None:
        raise Conflict("the run has not ended")
    if ended.status == "completed":
        raise Conflict("the run has completed")
    if run.undone:
        raise Conflict("this run was compensated: start a new one")
    if ended.state is None:
        raise Conflict("the run has not started its work: start a new one")
    return [event]


def _apply_node_event(run: WorkflowRun, event: NodeEvent) -> Mapping[str, NodeRun]:
    nodes = dict(_skip_nodes(run, event.skipped))
    node = nodes.get(event.node, NOT_STARTED)
    node = replace(node, visit=event.visit, attempt=event.attempt, skipped=False, held=None)
    match event:
        case NodeBegun():
            node = replace(node, begun=event)
        case NodeHeld():
            node = replace(node, held=event.approval_id)
        case NodeEnded():
            node = replace(node, ended=event)
    return {**nodes, event.node: node}


def skip(run: WorkflowRun, skipped: Iterable[str]) -> WorkflowRun:
    """Return the run with these nodes skipped, as it will be once that is recorded."""
    return replace(run, nodes=_skip_nodes(run, skipped))


def _skip_nodes(run: WorkflowRun, skipped: Iterable[str]) -> Mapping[str, NodeRun]:
    new = {name: replace(run.node(name), skipped=True) for name in skipped}
    return {**run.nodes, **new} if new else run.nodes
