"""The texts and the plan of a project."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from domain.content import Content
from domain.errors import Invalid
from domain.records.documents import fold_text, make_document
from domain.records.text_rules import foldable, one_line

Status = Literal["planning", "active", "on_hold", "completed", "cancelled"]
MAX_DESCRIPTION = 10_000
MAX_MEMBERS = 1_000
MAX_BUDGET = Decimal(1_000_000_000)
_MAX_ID = 2**53 - 1
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(one_line)]
Description = Annotated[str, Field(max_length=MAX_DESCRIPTION), AfterValidator(foldable)]
Budget = Annotated[Decimal, Field(ge=0, le=MAX_BUDGET, decimal_places=6)]
RecordId = Annotated[int, Field(ge=1, le=_MAX_ID, strict=True)]


def _once(members: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(members))


def _iso_date(value: object) -> object:
    """Return the value if it is no number: pydantic would take a number for seconds since 1970."""
    if isinstance(value, date) or (isinstance(value, str) and _ISO_DATE.fullmatch(value)):
        return value
    raise ValueError("must be a date such as 2026-11-27")


Day = Annotated[date, BeforeValidator(_iso_date)]
Members = Annotated[tuple[RecordId, ...], Field(max_length=MAX_MEMBERS), AfterValidator(_once)]


class ProjectPlan(BaseModel):
    """The values of a project that are no texts. `members` are ids of talents; money is US dollars."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: Status = "planning"
    client_id: int | None = None
    budget_usd: Decimal | None = None
    start_date: date | None = None
    end_date: date | None = None
    members: tuple[int, ...] = ()

    def refuse_wrong_dates(self) -> None:
        """Return if the project does not end before it starts.

        Raises:
            Invalid: it does.
        """
        if self.start_date and self.end_date and self.end_date < self.start_date:
            reason = "is before start_date"
            raise Invalid(f"end_date: {reason}", field="end_date", reason=reason)


@dataclass(frozen=True, slots=True)
class ProjectTexts:
    """The texts about a project."""

    name: str
    description: str | None = None

    def as_content(self, owner: str) -> Content:
        """Return the texts as a document, with their folded form, by which it is found."""
        text = "\n".join(filter(None, (self.name, self.description)))
        return make_document(owner, {**asdict(self), "folded": {"text": fold_text(text)}})


TEXTS = tuple(field.name for field in fields(ProjectTexts))
PLAN = tuple(ProjectPlan.model_fields)


def texts_of(document: Mapping[str, Any] | None) -> ProjectTexts | None:
    """Return the texts in a stored document; None if they were erased."""
    return None if document is None else ProjectTexts(**{name: document[name] for name in TEXTS})
