"""The lines of an invoice: parsed and bounded; one that cannot be read is named, and the others are judged."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

Bucket = Literal["minute", "hour", "day"]
BUCKET_SECONDS: Mapping[int, Bucket] = {60: "minute", 3_600: "hour", 86_400: "day"}
COLUMNS = (
    "call_id",
    "provider_call_id",
    "at",
    "per",
    "model",
    "key_id",
    "requests",
    "prompt_tokens",
    "completion_tokens",
    "cost",
)
"""The fields of a line."""
MOST_LINES = 100_000

_MOST_CHARACTERS = 300
_MOST_COUNT = 10**15
_MOST_COST = Decimal(10) ** 12
_FINEST_EXPONENT = -20
_REFERENCE = re.compile(r"(?P<call_id>.+)\.(?P<attempt>[1-9][0-9]{0,8})")
_COUNT = re.compile(r"[0-9]{1,16}(?:\.0+)?")
_DECIMAL = re.compile(r"[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,2})?|\.[0-9]{1,20}")
_EPOCH = re.compile(r"[0-9]{9,11}")

CallKey = tuple[str, int] | str
"""An attempt by the ledger's id and number, or by the provider's id."""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line about one attempt (`call` is set), or about the sum of a bucket of time that begins at `at`."""

    number: int
    call: CallKey | None = None
    at: datetime | None = None
    per: Bucket | None = None
    model: str | None = None
    key_id: str | None = None
    requests: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: Decimal | None = None

    @property
    def tokens(self) -> int | None:
        """All tokens, or None if the line states none."""
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that cannot be judged. `call` is set if at least that could be read."""

    number: int
    reason: str
    call: CallKey | None = None


def parse_line(number: int, fields: Mapping[str, Any]) -> InvoiceLine | UnreadableLine:
    """Return the line of these fields; texts and numbers are taken, null and an empty text are absent."""
    given = {name: value for name, value in fields.items() if value is not None and value != ""}
    call = None
    try:
        if unknown := sorted(str(name) for name in given if name not in COLUMNS):
            raise ValueError(f"unknown field {unknown[0][:80]}")  # noqa: TRY301  (all reasons take one way)
        call = _parse_call(given)
        line = InvoiceLine(
            number=number,
            call=call,
            at=_parse_moment(given),
            per=_parse_bucket(given),
            model=_text(given, "model"),
            key_id=_text(given, "key_id"),
            requests=_parse_count(given, "requests"),
            prompt_tokens=_parse_count(given, "prompt_tokens"),
            completion_tokens=_parse_count(given, "completion_tokens"),
            cost=_parse_cost(given),
        )
    except ValueError as error:
        return UnreadableLine(number, str(error), call)
    if line.call is None and (line.at is None or line.per is None):
        return UnreadableLine(number, "names neither a call nor the beginning and length of a sum (`at`, `per`)")
    if line.cost is None and line.tokens is None and line.requests is None:
        return UnreadableLine(number, "states neither cost, tokens nor requests", call)
    return line


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool | list | dict):
        raise ValueError(f"{name} is neither a text nor a number")  # noqa: TRY004  (a reason as the others)
    text = str(value).strip()
    if not text or len(text) > _MOST_CHARACTERS or not text.isprintable():
        raise ValueError(f"{name} is empty, longer than {_MOST_CHARACTERS} characters, or has control characters")
    return text


def _parse_call(given: Mapping[str, Any]) -> CallKey | None:
    if reference := _text(given, "call_id"):
        if found := _REFERENCE.fullmatch(reference):
            return found["call_id"], int(found["attempt"])
        raise ValueError("call_id is not of the form call_id.attempt")
    return _text(given, "provider_call_id")


def _parse_moment(given: Mapping[str, Any]) -> datetime | None:
    text = _text(given, "at")
    if text is None:
        return None
    try:
        moment = datetime.fromtimestamp(int(text), UTC) if _EPOCH.fullmatch(text) else datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("at is neither a moment (RFC 3339) nor seconds since 1970") from None


def _parse_bucket(given: Mapping[str, Any]) -> Bucket | None:
    text = _text(given, "per")
    for bucket in get_args(Bucket):
        if text == bucket:
            return bucket  # type: ignore[no-any-return]
    if text is not None:
        raise ValueError("per is not minute, hour or day")
    return None


def _parse_count(given: Mapping[str, Any], name: str) -> int | None:
    text = _text(given, name)
    if text is None:
        return None
    if not _COUNT.fullmatch(text) or (count := int(text.partition(".")[0])) > _MOST_COUNT:
        raise ValueError(f"{name} is not a whole number from 0 to {_MOST_COUNT}")
    return count


def _parse_cost(given: Mapping[str, Any]) -> Decimal | None:
    text = _text(given, "cost")
    if text is None:
        return None
    try:
        cost = Decimal(text) if _DECIMAL.fullmatch(text) else None
    except InvalidOperation:
        cost = None
    if cost is None or cost > _MOST_COST or (cost and cost.adjusted() < _FINEST_EXPONENT):
        raise ValueError("cost is not an amount of US dollars from 0 to a trillion")
    return cost
