"""Queries of the workflow catalogue."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.errors import NotFound
from domain.graphflow.catalogue.ports import Runs, SeenWorkflow, WorkflowFilter, WorkflowPage, WorkflowVersionPage
from domain.graphflow.catalogue.projection import WorkflowRow, WorkflowVersionRow

_COLUMNS = ", ".join(field.name for field in fields(WorkflowRow))
_RUNS = """
    LEFT JOIN LATERAL (
        SELECT count(*), count(*) FILTER (WHERE status IN ('completed', 'rejected', 'failed')),
               count(*) FILTER (WHERE status = 'completed'),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY took) FILTER (WHERE status = 'completed'),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY took) FILTER (WHERE status = 'completed')
        FROM (
            SELECT status, extract(epoch FROM ended_at - started_at)::double precision AS took FROM executions
            WHERE workflow_id = w.id ORDER BY started_at DESC LIMIT 1000
        ) AS recent
    ) AS r (total, ended, completed, p50_s, p95_s) ON true
"""
_SELECT = (
    f"SELECT {', '.join(f'w.{field.name}' for field in fields(WorkflowRow))},"
    f" {', '.join(f'r.{field.name}' for field in fields(Runs))} "
)
_PASSING = """
    FROM workflows
    WHERE status = coalesce(%(status)s, 'active')
      AND (%(q)s::text IS NULL OR strpos(lower(concat_ws(E'\\n', id, name, description)), lower(%(q)s)) > 0)
"""
_PAGE = f"""
    {_SELECT}
    FROM (SELECT {_COLUMNS} {_PASSING} ORDER BY id OFFSET %(skip)s LIMIT %(limit)s) AS w {_RUNS} ORDER BY w.id
"""
_COUNT = f"SELECT count(*) {_PASSING}"
_GET = f"{_SELECT} FROM workflows AS w {_RUNS} WHERE w.id = %s"
_VERSION_COLUMNS = ", ".join(field.name for field in fields(WorkflowVersionRow))
_VERSIONS = f"""
    SELECT {_VERSION_COLUMNS} FROM workflow_versions WHERE workflow_id = %s ORDER BY version DESC OFFSET %s LIMIT %s
"""  # noqa: S608  (the same)
_VERSION_COUNT = "SELECT count(*) FROM workflow_versions WHERE workflow_id = %s"
_VERSION = f"SELECT {_VERSION_COLUMNS} FROM workflow_versions WHERE workflow_id = %s AND version = %s"  # noqa: S608  (the same)
_NAMED = f"""
    SELECT wanted.version, {", ".join(f"v.{field.name}" for field in fields(WorkflowVersionRow))}
    FROM unnest(%s::text[], %s::bigint[]) AS wanted (id, version)
    JOIN workflows AS w ON w.id = wanted.id AND w.status = 'active'
    JOIN workflow_versions AS v ON v.workflow_id = w.id AND v.version = coalesce(wanted.version, w.version)
"""  # noqa: S608  (the same)


class PostgresWorkflows:
    """`domain.graphflow.catalogue.ports.WorkflowReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: WorkflowFilter, *, skip: int, limit: int) -> WorkflowPage:
        parameters = {"status": wanted.status, "q": wanted.q}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE, {**parameters, "skip": skip, "limit": limit}, prepare=True).fetchall()
            count = connection.execute(_COUNT, parameters, prepare=True).fetchone()
        return WorkflowPage([_seen(row) for row in rows], count[0] if count else 0)

    def get(self, workflow_id: str) -> SeenWorkflow:
        rows = self._rows(_GET, workflow_id)
        if not rows:
            raise NotFound(f"there is no workflow {workflow_id}")
        return _seen(rows[0])

    def version(self, workflow_id: str, version: int) -> WorkflowVersionRow:
        rows = self._rows(_VERSION, workflow_id, version)
        if not rows:
            raise NotFound(f"there is no version {version} of workflow {workflow_id}")
        return WorkflowVersionRow(*rows[0])

    def versions(self, workflow_id: str, *, skip: int, limit: int) -> WorkflowVersionPage:
        with self._database.connection() as connection:
            rows = connection.execute(_VERSIONS, (workflow_id, skip, limit), prepare=True).fetchall()
            count = connection.execute(_VERSION_COUNT, (workflow_id,), prepare=True).fetchone()
        return WorkflowVersionPage([WorkflowVersionRow(*row) for row in rows], count[0] if count else 0)

    def named(self, wanted: Iterable[tuple[str, int | None]]) -> Mapping[tuple[str, int | None], WorkflowVersionRow]:
        asked = list(wanted)
        rows = self._rows(_NAMED, [name for name, _ in asked], [version for _, version in asked]) if asked else []
        found = ((number, WorkflowVersionRow(*row)) for number, *row in rows)
        return {(row.workflow_id, number): row for number, row in found}

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values, prepare=True).fetchall()


def _seen(row: tuple[Any, ...]) -> SeenWorkflow:
    own = len(fields(WorkflowRow))
    return SeenWorkflow(WorkflowRow(*row[:own]), Runs(*row[own:]))
