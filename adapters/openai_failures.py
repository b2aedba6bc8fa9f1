"""What can go wrong with a call to an OpenAI-compatible API, as one `ModelFailure` each. No message holds a key."""

import asyncio
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import aiohttp
import orjson

from domain.chat.ports import FailureKind, ModelFailure, Usage

Charge = Literal["none", "possible", "partial"]
PERMANENT: frozenset[FailureKind] = frozenset({"refused_key", "out_of_quota", "not_found", "too_long", "bad_request"})
TOO_LONG = frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"})
TOO_LONG_WORDS = ("context length", "context window", "context size")
OUT_OF_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
STATUSES: dict[int, FailureKind] = {
    401: "refused_key",
    402: "out_of_quota",
    403: "refused_key",
    404: "not_found",
    408: "unavailable",
    409: "unavailable",
    413: "too_long",
    429: "rate_limited",
}
GAVE_UP_WAITING = frozenset({504, 524})  # a gateway's answers: the provider behind it may still be at work
CODES: dict[str, FailureKind] = {
    "invalid_api_key": "refused_key",
    "model_not_found": "not_found",
    "rate_limit_exceeded": "rate_limited",
    "invalid_request_error": "bad_request",
}
UNSUPPORTED_STATUSES = frozenset({400, 404, 405, 422, 500, 501})  # 500 is what llama.cpp says
TOOL_WORDS = re.compile(r"\btools?\b|\btool[ _-](?:use|calls?|calling|choice)|\bfunctions?[ _-]call|\bfunctions\b")
SCHEMA_WORDS = re.compile(r"response[ _]?format|json[ _]?schema|structured[ _]outputs?|\bgrammar\b")
NO_WORDS = re.compile(
    r"(?:\bnot|n't|n\u2019t|\bno)(?: \w+){0,2} (?:support|enable|available|permitted|allowed|implemented|accept)"
    r"|unsupported|unavailable|unrecogni[sz]ed|extra_forbidden|no endpoints found|\brequires? --"
)
MAX_WORDS = 300  # characters of the provider's own message that are passed on
MAX_SAID = 2000  # characters of it that are looked at: some go on to quote the whole request


@dataclass(frozen=True, slots=True)
class Extras:
    """What a request held that not every model takes."""

    tools: bool = False
    schema: bool = False


NOTHING_MORE = Extras()


def failure(
    kind: FailureKind,
    message: str,
    *,
    charge: Charge,
    retry_after: float | None = None,
    usage: Usage | None = None,
    provider_call_id: str | None = None,
) -> ModelFailure:
    return ModelFailure(
        kind,
        message,
        charge=charge,
        permanent=kind in PERMANENT,
        retry_after=retry_after,
        usage=usage,
        provider_call_id=provider_call_id,
    )


def unreadable(why: str) -> ModelFailure:
    return failure("unreadable", f"the model's answer cannot be read: {why}", charge="possible")


def cut() -> ModelFailure:
    return failure("cut", "the model's answer broke off", charge="possible")


def of_status(status: int, headers: Mapping[str, str], body: bytes, extras: Extras) -> ModelFailure:
    """The failure that an HTTP answer other than 200 stands for."""
    error = error_object(body)
    kind = kind_of(status, error, extras)
    return failure(
        kind,
        f"{SENTENCES[kind]} (HTTP {status}){words_of(kind, error)}",
        charge="possible" if status in GAVE_UP_WAITING else "none",
        retry_after=retry_after(headers) if kind in ("rate_limited", "unavailable") else None,
        provider_call_id=headers.get("x-request-id"),
    )


def in_stream(error: Any, extras: Extras) -> ModelFailure:
    """The failure that an error object inside a stream stands for; the status was 200 by then."""
    fields = error if isinstance(error, dict) else {"message": str(error)}
    named = [fields.get("status"), fields.get("code")]
    status = next((int(str(name)) for name in named if str(name).isdecimal() and len(str(name)) == 3), 500)  # noqa: PLR2004  (digits of a status)
    kind = kind_of(status, fields, extras)
    charge: Charge = "possible" if kind == "unavailable" else "none"
    return failure(kind, f"{SENTENCES[kind]} (inside its answer){words_of(kind, fields)}", charge=charge)


def of_transport(fault: Exception) -> ModelFailure:
    """The failure that an error of the connection stands for."""
    if isinstance(fault, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
        return failure("unreachable", f"no connection to the model provider ({type(fault).__name__})", charge="none")
    if isinstance(fault, asyncio.TimeoutError):
        return failure("timeout", "the model provider fell silent", charge="possible")
    if isinstance(fault, aiohttp.ClientResponseError):
        return unreadable("it is not HTTP")
    return cut()


SENTENCES: dict[FailureKind, str] = {
    "rate_limited": "the model provider asks us to slow down",
    "unavailable": "the model provider is not able to answer now",
    "refused_key": "the model provider refused the API key",
    "out_of_quota": "the account at the model provider is out of quota",
    "not_found": "the model provider has no such model",
    "too_long": "the prompt does not fit the model's context window",
    "unsupported": "the model takes no tools, or no schema for its answer",
    "bad_request": "the model provider refused the request",
}


def kind_of(status: int, error: Mapping[str, Any], extras: Extras) -> FailureKind:
    names = {str(error.get("code")), str(error.get("type"))}
    if names & OUT_OF_QUOTA:
        return "out_of_quota"
    if names & TOO_LONG or (status < 429 and mentions_context(error)):  # noqa: PLR2004  (a limit passed, not a size)
        return "too_long"
    if status in UNSUPPORTED_STATUSES and refuses(extras, error):
        return "unsupported"
    if status in STATUSES:
        return STATUSES[status]
    if status >= 500:  # noqa: PLR2004  (server errors)
        return next((CODES[name] for name in names if name in CODES), "unavailable")
    return "bad_request"


def mentions_context(error: Mapping[str, Any]) -> bool:
    message = str(error.get("message", "")).lower()
    return any(words in message for words in TOO_LONG_WORDS)


def refuses(extras: Extras, error: Mapping[str, Any]) -> bool:
    """Whether the error says that tools or schemas are not supported, of those that were asked for."""
    if extras == NOTHING_MORE:
        return False
    said = " ".join(str(error.get(field, "")) for field in ("message", "code", "param", "detail"))[:MAX_SAID].lower()
    asked = [words for words, was_asked in ((TOOL_WORDS, extras.tools), (SCHEMA_WORDS, extras.schema)) if was_asked]
    return any(words.search(said) for words in asked) and NO_WORDS.search(said) is not None


def words_of(kind: FailureKind, error: Mapping[str, Any]) -> str:
    """The provider's own words, unless they are about a key: those tend to quote it."""
    message = error.get("message")
    return f": {str(message)[:MAX_WORDS]}" if message and kind != "refused_key" else ""


def error_object(body: bytes) -> dict[str, Any]:
    """The error in a refusal's body: `{"error": {...}}`, `{"error": "text"}`, a list of one, or the bare object."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    return error if isinstance(error, dict) else {"message": str(error)}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `retry-after-ms` or from `Retry-After` as seconds or as a date; None where it says nothing."""
    if (milliseconds := seconds_in(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if (seconds := seconds_in(text)) is not None:
        return seconds
    try:
        then = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())


def seconds_in(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
