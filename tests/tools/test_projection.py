"""Tool calls as people look at them, folded live and rebuilt."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.rows import RowsInMemory
from adapters.postgres.projections.runner import ProjectionRunner
from domain.events import Event, RecordedEvent
from domain.ledger import Change
from domain.registry import event_registry
from domain.tools.aggregate import stream
from domain.tools.events import ToolEnded, ToolStarted
from domain.tools.projection import ToolCallRow, ToolsProjection
from tests.tools.conftest import Store

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)


def about(tool_call_id: str = "call_1", **fields: Any) -> dict[str, Any]:
    known = {
        "by": "key_1",
        "because": "req_1",
        "at": AT,
        "tool_call_id": tool_call_id,
        "session_id": "session_1",
        "turn": 1,
        "step": 1,
        "name": "query_costs",
        "agent_id": "ada",
        "workflow_id": "chat-session_1",
        "arguments_hash": "arguments",
        "project_id": "project_1",
    }
    return {**known, **fields}


def started(**fields: Any) -> ToolStarted:
    return ToolStarted(**about(**fields), effect="read", attempt="first")


def ended(outcome: Any = "ok", **fields: Any) -> ToolEnded:
    later = {"at": AT + timedelta(seconds=2), **fields}
    return ToolEnded(**about(**later), outcome=outcome, result_hash="result", sources=("projection:costs",))


def folded(events: Sequence[Event]) -> ToolCallRow:
    rows, projection = RowsInMemory(), ToolsProjection()
    for position, event in enumerate(events, 1):
        projection.project(RecordedEvent(position, "tool:call_1", position, event), rows)
    row = rows.get(ToolCallRow, "call_1")
    assert row is not None
    return row


def test_a_call_that_began_is_running() -> None:
    row = folded([started()])
    assert (row.state, row.effect, row.started_at, row.ended_at) == ("running", "read", AT, None)
    assert (row.key_id, row.agent_id, row.project_id) == ("key_1", "ada", "project_1")


@pytest.mark.parametrize("outcome", ["ok", "error", "refused", "unknown"])
def test_a_call_that_ended_shows_how(outcome: str) -> None:
    row = folded([started(), ended(outcome)])
    assert (row.state, row.result_hash, row.sources) == (outcome, "result", ["projection:costs"])
    assert row.ended_at == AT + timedelta(seconds=2)


def test_a_call_that_never_began_has_only_an_end() -> None:
    row = folded([ended("refused")])
    assert (row.state, row.effect, row.started_at) == ("refused", None, None)


def test_live_and_rebuilt_views_are_equal_and_read_by_session_and_run(store: Store) -> None:
    inner = {"session_id": "task_1/ada", "workflow_id": "task_1"}
    calls: dict[str, list[Event]] = {
        "call_1": [started(), ended()],
        "call_2": [started(tool_call_id="call_2", turn=2), ended("unknown", tool_call_id="call_2", turn=2)],
        "call_3": [started(tool_call_id="call_3", turn=2, step=2, at=AT + timedelta(seconds=5))],
        "call_4": [ended("refused", tool_call_id="call_4", **inner)],
        "call_5": [started(tool_call_id="call_5", session_id="task_1/amy", workflow_id="task_1")],
    }
    for call, events in calls.items():
        store.ledger.append(Change(stream(call), 0, events), key=call)
    projection = ToolsProjection()
    ProjectionRunner(store.url, event_registry(), [projection]).catch_up()

    def ids(rows: list[ToolCallRow]) -> list[str]:
        return [row.tool_call_id for row in rows]

    assert ids(store.reads.of_session("session_1")) == ["call_1", "call_2", "call_3"]
    assert ids(store.reads.of_session("session_1", 2)) == ["call_2", "call_3"]
    assert ids(store.reads.of_session("session_1", limit=1)) == ["call_1"]
    assert ids(store.reads.of_session("task_1/ada")) == ["call_4"]
    assert ids(store.reads.of_workflow("task_1")) == ["call_5", "call_4"]
    assert store.reads.of_session("session_1")[0] == folded(calls["call_1"])
    assert store.reads.of_session("nobody's") == []
    rebuilt = Rebuild(store.url, event_registry(), projection).run()
    assert all(comparison.equal for comparison in rebuilt.comparisons)
    assert rebuilt.set_aside == 0
