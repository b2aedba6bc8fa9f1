"""Types shared by all routes: strict bodies, exact money, UTC timestamps, pages."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from domain.tenant_ids import unqualified

MAX_TEXT = 100_000
"""Maximum characters of any text in a body, unless its field has a lower limit."""

MAX_INT = 2**63 - 1
"""The largest integer of PostgreSQL's bigint."""

_MICRO = Decimal("0.000001")


def _money(amount: Decimal) -> float:
    return float(amount.quantize(_MICRO))


def _round_measure(value: float) -> float:
    return round(value, 6)


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_utc(moment: datetime) -> datetime:
    """Return the moment in UTC.

    Raises:
        ValueError: UTC cannot represent the moment.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside of the years 1 to 9999 in UTC") from None


Money = Annotated[Decimal, PlainSerializer(_money, return_type=float, when_used="json")]
"""US dollars: exact internally, a JSON number with up to 6 decimals in responses."""

Measure = Annotated[float, PlainSerializer(_round_measure, return_type=float, when_used="json")]
"""A share, a mean or a duration: a JSON number with up to 6 decimals in responses."""

Timestamp = Annotated[AwareDatetime, PlainSerializer(_utc, return_type=str, when_used="json")]
"""A moment in UTC, RFC 3339 with `Z`."""

Deadline = Annotated[
    AwareDatetime, AfterValidator(to_utc), Field(description="Work done by then is the partial result.")
]
"""A deadline, in UTC."""

Id = Annotated[int, Field(ge=1, le=MAX_INT)]
"""An integer id, in a path or body."""


class Body(BaseModel):
    """A request body: unknown fields are refused by name, and all texts are bounded."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=MAX_TEXT, allow_inf_nan=False)


class View(BaseModel):
    """A response, created from rows or dataclasses by their attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


def _name_of(session_id: object) -> object:
    return unqualified(session_id) if isinstance(session_id, str) else session_id


SessionName = Annotated[str, BeforeValidator(_name_of)]
"""A session by the name that its tenant knows it by."""


class Pagination(View):
    """The position of this page in the whole list."""

    total: int
    skip: int
    limit: int
    has_next: bool
    has_prev: bool


class Listing(View):
    """A list with its documented key, which the subclass adds."""

    total: int
    skip: int
    limit: int
    pagination: Pagination


class DeletedResource(View):
    """The response to a DELETE; with 202 the status is `deleting` until a worker has done it."""

    id: str
    status: Literal["deleted", "deleting"] = "deleted"


class DeletedRecord(View):
    """The response to a DELETE of a record whose id is an integer."""

    id: int
    status: Literal["deleted"] = "deleted"


class HistoryItem(View):
    """An event of a record: who did it, when, and in which request.

    `version` is the record's version from then on, `fields` the names of the fields that changed, `changes` their new
    values: an erased text is null.
    """

    version: int
    event: Literal["created", "updated", "deleted", "erased"]
    by: str
    because: str
    at: Timestamp
    fields: list[str]
    changes: dict[str, Any]


class RecordHistory(Listing):
    """The events of a record, oldest first."""

    data: list[HistoryItem]


class ErrorBody(View):
    """An error."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorEnvelope(View):
    """The response of every status from 400. `details.errors[]` of a `VALIDATION_ERROR` names every invalid field."""

    success: Literal[False]
    error: ErrorBody
    timestamp: datetime
    request_id: str
