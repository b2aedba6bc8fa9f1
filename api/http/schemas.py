"""The shapes that all routes share: strict bodies, exact money, UTC timestamps, pages."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer

MAX_TEXT = 100_000
"""The most characters of any text in a body, unless its field says less."""

MAX_INT = 2**63 - 1
"""The largest integer that PostgreSQL's bigint holds."""

_MICRO = Decimal("0.000001")


def _money(amount: Decimal) -> float:
    return float(amount.quantize(_MICRO))


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _keepable(moment: datetime) -> datetime:
    """The moment in UTC.

    Raises:
        ValueError: UTC has no such moment.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies outside of the years 1 to 9999 in UTC") from None


Money = Annotated[Decimal, PlainSerializer(_money, return_type=float, when_used="json")]
"""US dollars: exact inside, a JSON number with up to 6 decimals outside."""

Timestamp = Annotated[AwareDatetime, PlainSerializer(_utc, return_type=str, when_used="json")]
"""A moment in UTC, RFC 3339 with `Z`."""

Deadline = Annotated[
    AwareDatetime, AfterValidator(_keepable), Field(description="What is done by then is the partial result.")
]
"""A moment until which something is waited for, in UTC."""

Id = Annotated[int, Field(ge=1, le=MAX_INT)]
"""An integer id, in a path or body."""


class Body(BaseModel):
    """A request body: fields that are not known are refused by name, and no text is endless."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=MAX_TEXT, allow_inf_nan=False)


class View(BaseModel):
    """A response: made from rows or dataclasses by their attributes."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class Pagination(View):
    """Where in the whole list this page lies."""

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


class Deleted(View):
    """The answer to a DELETE; with 202 it is `deleting` until a worker is there."""

    id: str
    status: Literal["deleted", "deleting"] = "deleted"


class ErrorBody(View):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorEnvelope(View):
    """Every answer from 400 up. `details.errors[]` of a `VALIDATION_ERROR` names every bad field."""

    success: Literal[False]
    error: ErrorBody
    timestamp: datetime
    request_id: str
