"""Queries of tool calls."""

from dataclasses import fields

from adapters.postgres.ledger.pool import Database
from domain.tools.projection import ToolCallRow

_COLUMNS = ", ".join(field.name for field in fields(ToolCallRow))
_OF_SESSION = f"""
    SELECT {_COLUMNS} FROM tool_calls WHERE session_id = %s AND (%s::integer IS NULL OR turn = %s)
    ORDER BY turn, step, at, tool_call_id LIMIT %s
"""  # noqa: S608  (column names)
_OF_WORKFLOW = f"""
    SELECT {_COLUMNS} FROM tool_calls WHERE workflow_id = %s ORDER BY at, tool_call_id LIMIT %s
"""  # noqa: S608  (the same)


class PostgresTools:
    """`domain.tools.ports.ToolReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_session(self, session_id: str, turn: int | None = None, *, limit: int = 1000) -> list[ToolCallRow]:
        return self._rows(_OF_SESSION, session_id, turn, turn, limit)

    def of_workflow(self, workflow_id: str, *, limit: int = 1000) -> list[ToolCallRow]:
        return self._rows(_OF_WORKFLOW, workflow_id, limit)

    def _rows(self, statement: str, *values: object) -> list[ToolCallRow]:
        with self._database.connection() as connection:
            rows = connection.execute(statement.encode(), values, prepare=True).fetchall()
        return [ToolCallRow(*row) for row in rows]
