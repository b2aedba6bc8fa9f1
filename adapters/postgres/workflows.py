"""Queries of the workflow catalogue."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.errors import NotFound
from domain.graphflow.catalogue.ports import (
    RunStatistics,
    WorkflowFilter,
    WorkflowPage,
    WorkflowVersionPage,
    WorkflowView,
)
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
            WHERE tenant_id = %(tenant_id)s AND workflow_id = w.id ORDER BY started_at DESC LIMIT 1000
        ) AS recent
    ) AS r (total, ended, completed, p50_s, p95_s) ON true
"""
_SELECT = (
    f"SELECT {', '.join(f'w.{field.name}' for field in fields(WorkflowRow))},"
    f" {', '.join(f'r.{field.name}' for field in fields(RunStatistics))} "
)
_CONDITIONS = """
    FROM workflows
    WHERE tenant_id IN (%(tenant_id)s, '*') AND status = coalesce(%(status)s, 'active')
      AND (%(q)s::text IS NULL OR strpos(lower(concat_ws(E'\\n', id, name, description)), lower(%(q)s)) > 0)
"""
_PAGE = f"""
    {_SELECT}
    FROM (SELECT {_COLUMNS} {_CONDITIONS} ORDER BY id, tenant_id OFFSET %(skip)s LIMIT %(limit)s) AS w {_RUNS}
    ORDER BY w.id, w.tenant_id
"""
_COUNT = f"SELECT count(*) {_CONDITIONS}"
_GET = f"""
    {_SELECT} FROM workflows AS w {_RUNS} WHERE w.id = %(workflow_id)s AND w.tenant_id IN (%(tenant_id)s, '*')
    ORDER BY w.tenant_id = '*' LIMIT 1
"""
_OF_ONE = """
    WHERE workflow_id = %(workflow_id)s AND tenant_id = (
        SELECT tenant_id FROM workflows WHERE id = %(workflow_id)s AND tenant_id IN (%(tenant_id)s, '*')
        ORDER BY tenant_id = '*' LIMIT 1
    )
"""
"""The tenant's own workflow of this id, or else the ready-made one."""
_VERSION_COLUMNS = ", ".join(field.name for field in fields(WorkflowVersionRow))
_VERSIONS = f"""
    SELECT {_VERSION_COLUMNS} FROM workflow_versions {_OF_ONE} ORDER BY version DESC OFFSET %(skip)s LIMIT %(limit)s
"""  # noqa: S608  (the same)
_VERSION_COUNT = f"SELECT count(*) FROM workflow_versions {_OF_ONE}"  # noqa: S608  (the same)
_VERSION = f"SELECT {_VERSION_COLUMNS} FROM workflow_versions {_OF_ONE} AND version = %(version)s"  # noqa: S608  (the same)
_NAMED = f"""
    SELECT wanted.version, {", ".join(f"v.{field.name}" for field in fields(WorkflowVersionRow))}
    FROM unnest(%(ids)s::text[], %(versions)s::bigint[]) AS wanted (id, version)
    JOIN LATERAL (
        SELECT * FROM workflows WHERE id = wanted.id AND tenant_id IN (%(tenant_id)s, '*')
        ORDER BY tenant_id = '*' LIMIT 1
    ) AS w ON w.status = 'active'
    JOIN workflow_versions AS v
        ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id AND v.version = coalesce(wanted.version, w.version)
"""  # noqa: S608  (the same)


class PostgresWorkflows:
    """`domain.graphflow.catalogue.ports.WorkflowReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: WorkflowFilter, *, skip: int, limit: int) -> WorkflowPage:
        parameters = {"tenant_id": wanted.tenant_id, "status": wanted.status, "q": wanted.q}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE, {**parameters, "skip": skip, "limit": limit}, prepare=True).fetchall()
            count = connection.execute(_COUNT, parameters, prepare=True).fetchone()
        return WorkflowPage([_to_workflow(row) for row in rows], count[0] if count else 0)

    def get(self, tenant_id: str, workflow_id: str) -> WorkflowView:
        rows = self._rows(_GET, tenant_id=tenant_id, workflow_id=workflow_id)
        if not rows:
            raise NotFound(f"there is no workflow {workflow_id}")
        return _to_workflow(rows[0])

    def version(self, tenant_id: str, workflow_id: str, version: int) -> WorkflowVersionRow:
        rows = self._rows(_VERSION, tenant_id=tenant_id, workflow_id=workflow_id, version=version)
        if not rows:
            raise NotFound(f"there is no version {version} of workflow {workflow_id}")
        return WorkflowVersionRow(*rows[0])

    def versions(self, tenant_id: str, workflow_id: str, *, skip: int, limit: int) -> WorkflowVersionPage:
        one = {"tenant_id": tenant_id, "workflow_id": workflow_id}
        rows = self._rows(_VERSIONS, **one, skip=skip, limit=limit)
        [[total]] = self._rows(_VERSION_COUNT, **one)
        return WorkflowVersionPage([WorkflowVersionRow(*row) for row in rows], total)

    def versions_by_ref(
        self, tenant_id: str, wanted: Iterable[tuple[str, int | None]]
    ) -> Mapping[tuple[str, int | None], WorkflowVersionRow]:
        asked = list(wanted)
        if not asked:
            return {}
        ids, versions = [name for name, _ in asked], [version for _, version in asked]
        rows = self._rows(_NAMED, tenant_id=tenant_id, ids=ids, versions=versions)
        found = ((number, WorkflowVersionRow(*row)) for number, *row in rows)
        return {(row.workflow_id, number): row for number, row in found}

    def _rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values, prepare=True).fetchall()


def _to_workflow(row: tuple[Any, ...]) -> WorkflowView:
    own = len(fields(WorkflowRow))
    return WorkflowView(WorkflowRow(*row[:own]), RunStatistics(*row[own:]))
