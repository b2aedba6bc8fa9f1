"""One run as its events tell it, and its views."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import Conflict
from domain.events import Event, RecordedEvent
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.events import (
    AttemptFailed,
    ItemEnded,
    NodeBegun,
    NodeCompensated,
    NodeEnded,
    NodeHeld,
    PlannedNode,
    RunEnded,
    RunPaused,
    RunReopened,
    RunResumed,
    RunStarted,
)
from domain.graphflow.execution.projection import ExecutionsProjection
from domain.graphflow.execution.views import ExecutionRow, NodeRow

AT = datetime(2026, 11, 23, tzinfo=UTC)
STATE = {"nodes": "d", "edges": "", "visits": [1]}


def cause(minute: int = 0) -> dict[str, Any]:
    return {"by": "key_1", "because": "req_1", "at": AT + timedelta(minutes=minute), "execution_id": "exec_1"}


def started(*nodes: str) -> RunStarted:
    return RunStarted(
        workflow_id="workflow_1",
        version=1,
        name="One",
        key_id="key_1",
        input_hash="in",
        root_id="exec_1",
        nodes=tuple(PlannedNode(id=node, type="agent") for node in nodes or ("a", "b")),
        **cause(),
    )


def at(node: str, visit: int = 1, attempt: int = 1, minute: int = 1, **more: Any) -> dict[str, Any]:
    return {"node": node, "visit": visit, "attempt": attempt, **more, **cause(minute)}


def ended(node: str, visit: int = 1, attempt: int = 1, **more: Any) -> NodeEnded:
    return NodeEnded(**{"status": "completed", "output_hash": "out", **at(node, visit, attempt, 2), **more})


class Table:
    """`domain.projection.Rows` in memory."""

    def __init__(self, *events: Event) -> None:
        self.rows: dict[tuple[Any, ...], Any] = {}
        for version, event in enumerate(events, 1):
            ExecutionsProjection().project(RecordedEvent(version, "run:exec_1", version, event), self)

    def get(self, kind: Any, *key: object) -> Any:
        return self.rows.get((kind, *key))

    def several(self, kind: Any, keys: Any) -> list[Any]:
        return [row for key in keys if (row := self.get(kind, *key))]

    def put(self, row: Any) -> None:
        self.rows[(type(row), *(getattr(row, name) for name in row.KEY))] = row

    def drop(self, kind: Any, *key: object) -> None:
        del self.rows[(kind, *key)]

    @property
    def run(self) -> ExecutionRow:
        found: ExecutionRow = self.get(ExecutionRow, "exec_1")
        return found

    def node(self, node: str) -> NodeRow:
        found: NodeRow = self.get(NodeRow, "exec_1", node)
        return found


def test_the_first_end_of_an_attempt_stands() -> None:
    run = runs.load([started(), ended("a")])
    assert runs.end_node(run, ended("a", status="failed")) == []
    assert runs.begin(run, NodeBegun(**at("a"))) == []
    assert runs.begin(run, NodeBegun(**at("a", attempt=2))) != []
    assert runs.begin(run, NodeBegun(**at("a", visit=2))) != []


def test_an_attempt_begins_once_and_fails_once() -> None:
    run = runs.load([started(), NodeBegun(**at("a"))])
    assert runs.begin(run, NodeBegun(**at("a"))) == []
    failed = AttemptFailed(code="X", error="x", **at("a"))
    assert runs.fail_attempt(run, failed) == [failed]
    later = runs.load([started(), NodeBegun(**at("a", attempt=2))])
    assert runs.fail_attempt(later, failed) == []


def test_a_run_ends_once_and_only_one_that_stopped_short_can_be_gone_on_with() -> None:
    over = RunEnded(status="failed", state=STATE, **cause(3))
    again = RunReopened(nodes=("a",), **cause(4))
    run = runs.load([started(), over])
    assert runs.end(run, over) == []
    assert runs.reopen(run, again) == [again]
    assert runs.reopen(runs.load([started(), over, again]), again) == []
    for events, reason in [
        ([], "not ended"),
        ([RunEnded(status="completed", state=STATE, **cause(3))], "has completed"),
        ([RunEnded(status="failed", **cause(3))], "not started"),
        ([NodeCompensated(node="a", visit=1, status="completed", **cause(2)), over], "compensated"),
    ]:
        with pytest.raises(Conflict, match=reason):
            runs.reopen(runs.load([started(), *events]), again)


def test_the_views_follow_a_run_to_its_end() -> None:
    events: list[Event] = [started("a", "b", "c"), NodeBegun(**at("a"))]
    assert (Table(*events).run.status, Table(*events).node("a").status) == ("running", "running")
    events += [NodeHeld(approval_id="approval_1", **at("a"))]
    assert (Table(*events).run.status, Table(*events).node("a").approval_id) == ("awaiting_approval", "approval_1")
    events += [RunPaused(**cause(2))]
    assert Table(*events).run.status == "paused"
    events += [RunResumed(**cause(2)), ended("a"), NodeBegun(**at("b", skipped=("c",)))]
    table = Table(*events)
    assert (table.run.status, table.run.held) == ("running", 0)
    assert [table.node(node).status for node in "abc"] == ["completed", "running", "skipped"]
    events += [RunEnded(status="cancelled", state=STATE, **cause(5))]
    table = Table(*events)
    assert (table.run.status, table.node("b").status, table.run.ended_at) == (
        "cancelled",
        "cancelled",
        AT + timedelta(minutes=5),
    )
    events += [RunReopened(nodes=("b",), **cause(6))]
    table = Table(*events)
    assert (table.run.status, table.run.ended_at, table.node("b").status) == ("running", None, "running")


def test_the_views_count_attempts_visits_and_items() -> None:
    table = Table(
        started(),
        NodeBegun(items=2, **at("a")),
        ItemEnded(node="a", visit=1, item=0, attempt=1, status="completed", **cause(2)),
        ItemEnded(node="a", visit=1, item=1, attempt=1, status="failed", **cause(2)),
        AttemptFailed(code="X", error="x", **at("a")),
        NodeBegun(items=2, **at("a", attempt=2)),
        ItemEnded(node="a", visit=1, item=1, attempt=2, status="completed", **cause(2)),
        ended("a", attempt=2),
        NodeCompensated(node="a", visit=1, status="completed", **cause(3)),
    )
    row = table.node("a")
    assert (row.attempts, row.visits, row.items, row.items_ended, row.compensated) == (2, 1, 2, 2, True)
    assert (row.code, row.error, row.output_hash) == (None, None, "out")
