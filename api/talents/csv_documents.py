"""Talents as CSV, and back."""

from collections.abc import Iterable, Iterator

from pydantic import ValidationError

from api.talents.schemas import NewTalent
from domain.csv_tables import RowFault, join_items, read_csv, split_items, write_csv
from domain.talents.bulk_import import MOST_ROWS, ImportRow
from domain.talents.ports import TalentView

_OWN = ("name", "email", "department", "skills", "bio", "status")
_GIVEN = ("id", "created_at", "updated_at", "version")
"""Columns of an export that an import ignores."""


def to_csv(talents: Iterable[TalentView]) -> Iterator[str]:
    """Yield the lines of an export, which can be imported again."""
    columns = ("id", *_OWN, "created_at", "updated_at", "version")
    return write_csv(columns, (_cells(talent) for talent in talents))


def _cells(talent: TalentView) -> list[object]:
    profile = talent.profile
    texts = (
        [profile.name, profile.email, profile.department, join_items(profile.skills), profile.bio] if profile else []
    )
    moments = [moment.isoformat().replace("+00:00", "Z") for moment in (talent.created_at, talent.updated_at)]
    return [talent.id, *(texts or [None] * 5), talent.status, *moments, talent.version]


def from_csv(text: str) -> tuple[list[ImportRow], list[RowFault]]:
    """Return the valid rows, and the faults of the others.

    Raises:
        domain.errors.Invalid: the text is no table of talents, or has too many rows.
    """
    rows, faults = [], []
    for row in read_csv(text, _OWN, ignored=_GIVEN, most=MOST_ROWS):
        cells: dict[str, object] = dict(row.cells)
        if "skills" in row.cells:
            cells["skills"] = split_items(row.cells["skills"])
        try:
            rows.append(ImportRow(row.number, NewTalent.model_validate(cells).draft()))
        except ValidationError as error:
            faults += [_fault(row.number, fault["loc"], fault["msg"]) for fault in error.errors(include_url=False)]
    return rows, faults


def _fault(row: int, location: tuple[int | str, ...], reason: str) -> RowFault:
    return RowFault(row, str(location[0]) if location else "", reason[:500])
