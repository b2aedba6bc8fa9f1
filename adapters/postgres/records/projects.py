"""Queries of projects. Their texts are joined from the content store, so erased ones are nowhere else."""

from collections.abc import Iterator
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.projects.aggregate import owner_prefix
from domain.projects.ports import ProjectFilter, ProjectPage, ProjectView
from domain.projects.profile import ProjectPlan, texts_of
from domain.records.documents import fold_text, parse_document

_COLUMNS = """
    r.id, r.status, r.client_id, r.budget_usd, r.start_date, r.end_date, r.members,
    r.created_at, r.updated_at, r.version, c.body
"""
_JOINED = """
    FROM projects AS r LEFT JOIN content AS c ON c.owner = %(owner)s || r.id AND c.hash = r.texts_hash
    WHERE r.tenant_id = %(tenant_id)s
      AND (%(status)s::text IS NULL OR r.status = %(status)s)
      AND (%(client_id)s::bigint IS NULL OR r.client_id = %(client_id)s)
      AND (%(member_id)s::bigint IS NULL OR %(member_id)s::bigint = ANY (r.members))
      AND (%(terms)s::text[] = '{}' OR (
          SELECT bool_and(strpos(c.body::jsonb -> 'folded' ->> 'text', term) > 0)
          FROM unnest(%(terms)s::text[]) AS term
      ))
"""
_PAGE = f"SELECT {_COLUMNS} {_JOINED} ORDER BY r.id OFFSET %(skip)s LIMIT %(limit)s"
_PORTION = f"SELECT {_COLUMNS} {_JOINED} AND r.id > %(after)s ORDER BY r.id LIMIT 1000"
_COUNT = f"SELECT count(*) {_JOINED}"


class PostgresProjects:
    """`domain.projects.ports.ProjectReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: ProjectFilter, *, skip: int, limit: int) -> ProjectPage:
        values = _values(wanted)
        with self._database.connection() as connection:
            paged = {**values, "skip": skip, "limit": limit}
            rows = connection.execute(_PAGE.encode(), paged, prepare=True, binary=True).fetchall()
            count = connection.execute(_COUNT.encode(), values, prepare=True).fetchone()
        return ProjectPage([_view(row) for row in rows], count[0] if count else 0)

    def all(self, wanted: ProjectFilter) -> Iterator[ProjectView]:
        values, after = _values(wanted), 0
        while rows := self._portion({**values, "after": after}):
            yield from map(_view, rows)
            after = rows[-1][0]

    def _portion(self, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(_PORTION.encode(), values, prepare=True, binary=True).fetchall()


def _values(wanted: ProjectFilter) -> dict[str, Any]:
    return {
        "tenant_id": wanted.tenant_id,
        "owner": owner_prefix(wanted.tenant_id),
        "status": wanted.status,
        "client_id": wanted.client_id,
        "member_id": wanted.member_id,
        "terms": [fold_text(term) for term in wanted.terms],
    }


def _view(row: tuple[Any, ...]) -> ProjectView:
    project_id, status, client_id, budget, start, end, members, created_at, updated_at, version, body = row
    plan = ProjectPlan(
        status=status, client_id=client_id, budget_usd=budget, start_date=start, end_date=end, members=tuple(members)
    )
    return ProjectView(project_id, plan, created_at, updated_at, version, texts_of(parse_document(body)))
