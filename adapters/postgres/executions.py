"""Queries of executions."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.graphflow.execution.ports import ExecutionView, NodeUsage, RunFilter, RunPage
from domain.graphflow.execution.views import ExecutionRow, NodeRow

_COLUMNS = ", ".join(field.name for field in fields(ExecutionRow))
_NODE_COLUMNS = ", ".join(field.name for field in fields(NodeRow))
_RUN = f"SELECT {_COLUMNS} FROM executions WHERE execution_id = %s"  # noqa: S608  (column names)
_NEWEST = f"""
    SELECT {_COLUMNS} FROM executions
    WHERE tenant_id = %(tenant_id)s AND workflow_id = %(workflow_id)s
    ORDER BY started_at DESC, execution_id DESC LIMIT 1
"""  # noqa: S608  (the same)
_NODES = f"SELECT {_NODE_COLUMNS} FROM execution_nodes WHERE execution_id = %s ORDER BY place"  # noqa: S608  (the same)
_UNENDED = f"""
    SELECT {_COLUMNS} FROM executions WHERE ended_at IS NULL AND started_at < %s ORDER BY started_at LIMIT %s
"""  # noqa: S608  (the same)
_SPENT = """
    SELECT workflow_id, session_id, sum(total_tokens)::bigint, sum(cost) FROM cost_calls
    WHERE workflow_id = ANY(%s) GROUP BY 1, 2
"""
_CONDITIONS = {
    "tenant_id": "tenant_id = %(tenant_id)s",
    "workflow_id": "workflow_id = %(workflow_id)s",
    "status": "status = %(status)s",
}


class PostgresRuns:
    """`domain.graphflow.execution.ports.RunReads` on the views; costs are read from the cost ledger's view."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, execution_id: str) -> ExecutionView | None:
        return self._load_run(self._rows(_RUN, (execution_id,)))

    def newest(self, tenant_id: str, workflow_id: str) -> ExecutionView | None:
        return self._load_run(self._rows(_NEWEST, {"tenant_id": tenant_id, "workflow_id": workflow_id}))

    def page(self, wanted: RunFilter, *, skip: int, limit: int) -> RunPage:
        values = {name: value for name in _CONDITIONS if (value := getattr(wanted, name)) is not None}
        conditions = [_CONDITIONS[name] for name in values] + ([] if wanted.parts else ["parent_id IS NULL"])
        passing = " AND ".join(conditions)
        page = f"""
            SELECT {_COLUMNS} FROM executions WHERE {passing}
            ORDER BY started_at DESC, execution_id DESC OFFSET %(skip)s LIMIT %(limit)s
        """  # noqa: S608  (column names and the conditions above)
        count = f"SELECT count(*) FROM executions WHERE {passing}"  # noqa: S608  (the same)
        rows = self._rows(page, {**values, "skip": skip, "limit": limit})
        [[total]] = self._rows(count, values)
        return RunPage([ExecutionRow(*row) for row in rows], total)

    def open_runs(self, before: datetime, limit: int) -> list[ExecutionRow]:
        return [ExecutionRow(*row) for row in self._rows(_UNENDED, (before, limit))]

    def _load_run(self, rows: list[tuple[Any, ...]]) -> ExecutionView | None:
        if not rows:
            return None
        row = ExecutionRow(*rows[0])
        nodes = tuple(NodeRow(*each) for each in self._rows(_NODES, (row.execution_id,)))
        children = {node.child_id: node.node for node in nodes if node.child_id}
        spent = self._rows(_SPENT, ([row.root_id, *children],))
        return _add_costs(row, nodes, children, spent)

    def _rows(self, statement: str, values: Any) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values, prepare=True, binary=True).fetchall()


def _add_costs(
    row: ExecutionRow,
    nodes: tuple[NodeRow, ...],
    children: Mapping[str, str],
    calls: Iterable[tuple[str, str, int, Decimal]],
) -> ExecutionView:
    """Add the costs: of the execution's own sessions, its children's, and, for a top-level one, all of its calls."""
    spent: dict[str, NodeUsage] = {}
    total = NodeUsage()
    for workflow_id, session_id, tokens, cost in calls:
        run, _, seat = session_id.partition("/")
        child = children.get(run) or children.get(workflow_id)
        if not child and row.execution_id not in {run, workflow_id}:
            continue
        total = NodeUsage(total.tokens + tokens, total.cost + cost)
        node = child or seat.partition(".")[0]
        before = spent.get(node, NodeUsage())
        spent[node] = NodeUsage(before.tokens + tokens, before.cost + cost)
    return ExecutionView(row, nodes, spent, total)
