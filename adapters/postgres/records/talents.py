"""Queries of talents. Their texts are joined from the content store, so erased ones are nowhere else."""

from collections.abc import Iterator, Sequence
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.records.documents import fold_text, parse_document
from domain.talents.aggregate import owner_prefix
from domain.talents.ports import TalentFilter, TalentPage, TalentView
from domain.talents.profile import profile_of

_PORTION = 1000
_COLUMNS = "t.id, t.status, t.created_at, t.updated_at, t.version, c.body"
_JOINED = """
    FROM talents AS t LEFT JOIN content AS c ON c.owner = %(owner)s || t.id AND c.hash = t.profile_hash
"""
_FOLDED = "CROSS JOIN LATERAL (SELECT c.body::jsonb -> 'folded' AS folded OFFSET 0) AS f"
"""The folded texts; parsed once for all conditions, because PostgreSQL does not move conditions below an OFFSET."""
_CONDITIONS = {
    "department": "f.folded ->> 'department' = %(department)s",
    "skill": "f.folded -> 'skills' ? %(skill)s",
    "terms": "(SELECT bool_and(strpos(f.folded ->> 'text', term) > 0) FROM unnest(%(terms)s::text[]) AS term)",
    "any": """(f.folded -> 'skills' ?| %(any_skills)s::text[]
        OR EXISTS (SELECT FROM unnest(%(any_terms)s::text[]) AS term
            WHERE strpos(concat_ws(E'\\n', f.folded ->> 'text', f.folded ->> 'department'), term) > 0))""",
}


class PostgresTalents:
    """`domain.talents.ports.TalentReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: TalentFilter, *, skip: int, limit: int) -> TalentPage:
        source, values = _source(wanted)
        counted = f"(SELECT count(*) {source})" if wanted.is_by_state_only else "count(*) OVER ()"
        page = f"SELECT {_COLUMNS}, {counted} {source} ORDER BY t.id OFFSET %(skip)s LIMIT %(limit)s"
        rows = self._rows(page, {**values, "skip": skip, "limit": limit})
        if rows or not skip:
            return TalentPage([_view(row[:-1]) for row in rows], rows[0][-1] if rows else 0)
        [[total]] = self._rows(f"SELECT count(*) {source}", values)
        return TalentPage([], total)

    def all(self, wanted: TalentFilter) -> Iterator[TalentView]:
        source, values = _source(wanted)
        portion = f"SELECT {_COLUMNS} {source} AND t.id > %(after)s ORDER BY t.id LIMIT {_PORTION:d}"
        after = 0
        while rows := self._rows(portion, {**values, "after": after}):
            yield from map(_view, rows)
            after = rows[-1][0]

    def candidates(self, wanted: TalentFilter, skills: Sequence[str], terms: Sequence[str]) -> list[TalentView]:
        source, values = _source(wanted, "any")
        either = {"any_skills": [fold_text(skill) for skill in skills], "any_terms": list(terms)}
        rows = self._rows(f"SELECT {_COLUMNS} {source} ORDER BY t.id", {**values, **either})
        return [_view(row) for row in rows]

    def _rows(self, statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values, prepare=True, binary=True).fetchall()


def _source(wanted: TalentFilter, *more: str) -> tuple[str, dict[str, Any]]:
    """Return the FROM and WHERE of a query, and its parameters."""
    values: dict[str, Any] = {"tenant_id": wanted.tenant_id, "owner": owner_prefix(wanted.tenant_id)}
    conditions = ["t.tenant_id = %(tenant_id)s"]
    if wanted.status is not None:
        values["status"] = wanted.status
        conditions.append("t.status = %(status)s")
    texts = {
        "department": fold_text(wanted.department) if wanted.department else None,
        "skill": fold_text(wanted.skill) if wanted.skill else None,
        "terms": [fold_text(term) for term in wanted.terms],
    }
    given = {name: value for name, value in texts.items() if value}
    names = (*given, *more)
    source = f"{_JOINED} {_FOLDED if names else ''} WHERE "
    return source + " AND ".join([*conditions, *(_CONDITIONS[name] for name in names)]), {**values, **given}


def _view(row: tuple[Any, ...]) -> TalentView:
    talent_id, status, created_at, updated_at, version, body = row
    return TalentView(talent_id, status, created_at, updated_at, version, profile_of(parse_document(body)))
