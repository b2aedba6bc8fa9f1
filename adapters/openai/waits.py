"""The wait that a provider asks for, in headers and bodies of many dialects."""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

LONGEST_WAIT_S = 24 * 3600.0
"""A wait beyond a day is a day: no call lives as long, and no date of ours ends with it."""

_UNIX_YEAR_2001 = 1e9
_MILLISECONDS = 1e11
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(
    r"(\d{1,12}(?:\.\d{1,12})?)\s?(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])"
)
_PARTS = re.compile(r"(?:\d{1,12}(?:\.\d{1,12})?\s?[a-z]{1,12}[ ,]{0,2}){1,5}")
_AGAIN = re.compile(
    r"(?:(?:try|retry)(?: your request)?(?: again)?|wait|available again|resets?)(?: (?:in|after|for|at least)){1,2}:? "
)
_NAMED = ("retryDelay", "retry_delay", "retry_after", "retryAfter", "retry_after_seconds")
_RESETS = re.compile(r"(?:x-|anthropic-)?ratelimit-(?:reset(?:-(\w+))?|(\w+)-reset)")
_MAX_DEPTH = 6


def wait_of(headers: Mapping[str, str], error: Any, said: str, now: datetime) -> float | None:
    """Seconds, from `retry-after(-ms)`, the error's fields or words, or a limit's reset; None where none says."""
    found = next(_named_waits(headers, error, said, now), None)
    return None if found is None else min(found, LONGEST_WAIT_S)


def _named_waits(headers: Mapping[str, str], error: Any, said: str, now: datetime) -> Iterator[float]:
    """Each wait that is named, the most exact first."""
    milliseconds = _seconds(headers.get("retry-after-ms"))
    named = None if milliseconds is None else milliseconds / 1000
    yield from (wait for wait in (named, _moment_or_seconds(headers.get("retry-after"), now)) if wait is not None)
    yield from _fields(error, now)
    yield from (wait for wait in (wait_in_words(said), _until_reset(headers, now)) if wait is not None)


def wait_in_words(said: str) -> float | None:
    """The wait in "Please try again in 1m30.5s", "retry after 12 seconds" and the like."""
    again = _AGAIN.search(said.lower())
    found = again and _PARTS.match(said.lower(), again.end())
    return duration(found[0]) if found else None


def duration(text: str) -> float | None:
    """Seconds in `34s`, `1m6.5s`, `250ms`, `2 minutes`."""
    parts = _PART.findall(text.lower())
    if not parts:
        return None
    return sum(float(number) * _UNITS["ms" if unit.startswith(("ms", "milli")) else unit[0]] for number, unit in parts)


def _seconds(text: object) -> float | None:
    try:
        seconds = float(str(text or ""))
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _moment_or_seconds(text: str | None, now: datetime) -> float | None:
    """Seconds, a duration with its unit, a date of HTTP or RFC 3339, or Unix time."""
    seconds = _seconds(text)
    if seconds is not None:
        return _from_unix(seconds, now)
    if not text:
        return None
    moment = _moment(text)
    return duration(text) if moment is None else max(0.0, (moment - now).total_seconds())


def _from_unix(seconds: float, now: datetime) -> float:
    """A number this large is a moment and not a time to wait."""
    if seconds < _UNIX_YEAR_2001:
        return seconds
    moment = seconds / 1000 if seconds > _MILLISECONDS else seconds
    return max(0.0, moment - now.timestamp())


def _moment(text: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return None


def _fields(value: Any, now: datetime, depth: int = 0) -> Iterator[float]:
    """Waits that stand in the error's fields, such as those of Google's `RetryInfo`, and in headers it quotes."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        for name in _NAMED:
            if isinstance(value.get(name), str | int | float):
                wait = _moment_or_seconds(str(value[name]), now)
                if wait is not None:
                    yield wait
        quoted = value.get("headers")
        if isinstance(quoted, dict):
            named = {str(name).lower(): str(text) for name, text in quoted.items()}
            waits = (_moment_or_seconds(named.get("retry-after"), now), _until_reset(named, now))
            yield from (wait for wait in waits if wait is not None)
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in below:
        yield from _fields(each, now, depth + 1)


def _until_reset(headers: Mapping[str, str], now: datetime) -> float | None:
    """The reset of the limit that is used up; of all limits, the latest, where none says that it is."""
    waits: dict[str, float] = {}
    for name, text in headers.items():
        found = _RESETS.fullmatch(name.lower())
        wait = _moment_or_seconds(text, now) if found else None
        if found and wait is not None:
            waits[found[1] or found[2] or ""] = wait
    used_up = [wait for limit, wait in waits.items() if _remaining_quota(headers, limit) == 0]
    return max(used_up or waits.values(), default=None)


def _remaining_quota(headers: Mapping[str, str], limit: str) -> float | None:
    names = (f"ratelimit-remaining-{limit}", f"ratelimit-{limit}-remaining") if limit else ("ratelimit-remaining",)
    texts = (headers.get(prefix + name) for name in names for prefix in ("x-", "anthropic-", ""))
    return next((left for text in texts if (left := _seconds(text)) is not None), None)
