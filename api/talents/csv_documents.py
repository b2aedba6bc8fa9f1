"""Talents as CSV, and back."""

from collections.abc import Iterable, Iterator

from api.tables.csv_tables import MADE, Cells, Values, parse_table
from api.talents.schemas import NewTalent
from domain.records.bulk_imports import ImportTable
from domain.records.csv_tables import join_items, split_items, write_csv
from domain.talents.commands import TalentDraft
from domain.talents.ports import TalentView

_OWN = ("name", "email", "department", "skills", "bio", "status")


def to_csv(talents: Iterable[TalentView]) -> Iterator[str]:
    """Yield the lines of an export, which can be imported again."""
    return write_csv((MADE[0], *_OWN, *MADE[1:]), (_cells(talent) for talent in talents))


def _cells(talent: TalentView) -> list[object]:
    profile = talent.profile
    texts: list[object] = [None] * 5
    if profile is not None:
        texts = [profile.name, profile.email, profile.department, join_items(profile.skills), profile.bio]
    moments = [moment.isoformat().replace("+00:00", "Z") for moment in (talent.created_at, talent.updated_at)]
    return [talent.id, *texts, talent.status, *moments, talent.version]


def from_csv(text: str) -> ImportTable[TalentDraft]:
    """Return the rows of a table of talents.

    Raises:
        domain.errors.Invalid: the text is no such table, or has too many rows.
    """
    return parse_table(text, _OWN, NewTalent, NewTalent.draft, _values)


def _values(cells: Cells) -> Values:
    return {**cells, "skills": split_items(cells.get("skills", ""))}
