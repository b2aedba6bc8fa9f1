"""Projects as CSV, and back."""

from collections.abc import Iterable, Iterator

from api.projects.schemas import NewProject
from api.tables.csv_tables import MADE, Cells, Values, parse_table
from domain.projects.commands import ProjectDraft
from domain.projects.ports import ProjectView
from domain.projects.profile import PLAN, TEXTS
from domain.records.bulk_imports import ImportTable
from domain.records.csv_tables import join_items, split_items, write_csv

_MAX_DIGITS = 16


def to_csv(projects: Iterable[ProjectView]) -> Iterator[str]:
    """Yield the lines of an export, which can be imported again."""
    return write_csv((MADE[0], *TEXTS, *PLAN, *MADE[1:]), (_cells(project) for project in projects))


def _cells(project: ProjectView) -> list[object]:
    texts = [getattr(project.texts, name) if project.texts else None for name in TEXTS]
    budget = project.plan.budget_usd
    plan = {
        **{name: getattr(project.plan, name) for name in PLAN},
        "budget_usd": None if budget is None else f"{budget:f}",
        "members": join_items(map(str, project.plan.members)),
    }
    moments = [moment.isoformat().replace("+00:00", "Z") for moment in (project.created_at, project.updated_at)]
    return [project.id, *texts, *(plan[name] for name in PLAN), *moments, project.version]


def from_csv(text: str) -> ImportTable[ProjectDraft]:
    """Return the rows of a table of projects.

    Raises:
        domain.errors.Invalid: the text is no such table, or has too many rows.
    """
    return parse_table(text, (*TEXTS, *PLAN), NewProject, NewProject.draft, _values)


def _values(cells: Cells) -> Values:
    values: dict[str, object] = {**cells, "members": [_number(each) for each in split_items(cells.get("members", ""))]}
    return {**values, "client_id": _number(cells["client_id"])} if "client_id" in cells else values


def _number(cell: str) -> int | str:
    """Return the integer in a cell; another text as it is, which is refused later."""
    return int(cell) if cell.isascii() and cell.isdecimal() and len(cell) <= _MAX_DIGITS else cell
