"""Limits on documents, the names of their collections, and the date of a document."""

import json
import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import orjson

from domain.errors import Invalid, TooLarge
from domain.ids import derived_hex, random_id
from domain.json_bounds import find_nul

MAX_FILE = 10 * 1024 * 1024
"""Maximum bytes of a document."""
MAX_TITLE = 500
MAX_METADATA = 16 * 1024
"""Maximum bytes of a document's metadata, as JSON without spaces in UTF-8."""
MAX_TEXT = 20_000_000
"""Maximum characters that are taken from one document."""
MAX_PAGES = 10_000
NAME = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
"""The form of the ids of documents, and of the names of collections."""
DEFAULT_COLLECTION = "default"
USER_PREFIX = "user:"
"""Collections of single users, which only the platform names."""

_YEAR = re.compile(r"[0-9]{4}")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{2})")
_YEARS = re.compile(r"([0-9]{4})\s*-\s*([0-9]{4})")


def document_id_of(given: str | None, key: str | None) -> str:
    """Return the given id, or a new one, which a repeat of the request gets again."""
    if given is not None:
        return given
    return f"document_{derived_hex('document', key)}" if key else random_id("document")


def collection_of(given: str | None) -> str:
    """Return the collection.

    Raises:
        Invalid: only the platform names such collections.
    """
    name = given or DEFAULT_COLLECTION
    if name.startswith(USER_PREFIX):
        raise Invalid("collection: is a user's own", field="collection", reason="is a user's own")
    return name


def project_collection(project_id: str) -> str:
    """Return the collection of a project."""
    return f"project:{project_id}"


def agent_collection(agent_id: str) -> str:
    """Return the collection of an agent."""
    return f"agent:{agent_id}"


def encode_metadata(metadata: Mapping[str, Any]) -> str:
    """Return metadata as the text that is stored.

    Raises:
        Invalid: it has U+0000, NaN or infinity, or an integer beyond 64 bits.
        TooLarge: it exceeds its limit.
    """
    if (where := find_nul(metadata)) is not None:
        raise Invalid("metadata contains the character U+0000", field=f"metadata.{where}", reason="contains a NUL")
    try:
        json.dumps(metadata, allow_nan=False)
        stored = orjson.dumps(metadata)
    except (TypeError, ValueError):
        reason = "contains a number that cannot be stored"
        raise Invalid(f"metadata {reason}", field="metadata", reason=reason) from None
    if len(stored) > MAX_METADATA:
        raise TooLarge(f"metadata exceeds {MAX_METADATA} bytes", field="metadata", limit=MAX_METADATA)
    return stored.decode()


def date_of(metadata: Mapping[str, Any], submitted_at: datetime) -> date:
    """Return the date of a document: its metadata's `date`, or else the day on which it was submitted."""
    given = metadata.get("date")
    first = first_day(given) if isinstance(given, str) else None
    return first or submitted_at.date()


def first_day(text: str) -> date | None:
    """Return the first day of a year, month, day or moment in the form of ISO 8601; None of anything else."""
    text = text.strip()
    try:
        if _YEAR.fullmatch(text):
            return date(int(text), 1, 1)
        if found := _MONTH.fullmatch(text):
            return date(int(found[1]), int(found[2]), 1)
        return datetime.fromisoformat(text).date()
    except ValueError:
        return None


def last_day(text: str) -> date | None:
    """Return the last day of a year, month, day or moment; None of anything else."""
    text = text.strip()
    try:
        if _YEAR.fullmatch(text):
            return date(int(text), 12, 31)
        if found := _MONTH.fullmatch(text):
            year, month = int(found[1]), int(found[2])
            return date(year, month, monthrange(year, month)[1])
        return datetime.fromisoformat(text).date()
    except ValueError:
        return None


def years_of(text: str) -> tuple[date, date] | None:
    """Return the first and the last day of `2024-2025`; None of anything else."""
    found = _YEARS.fullmatch(text.strip())
    if found is None:
        return None
    first, last = first_day(found[1]), last_day(found[2])
    return (first, last) if first and last else None
