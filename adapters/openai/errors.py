"""The failures of a call to an OpenAI-compatible API, as one `ModelFailure` each. No message holds a key."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import httpx2
from openai import APIConnectionError, APIStatusError

from adapters.openai.bounds import name_from
from adapters.openai.error_body import error_object, fields_of, words_in, words_of
from adapters.openai.failure_kind import SERVER_ERRORS, Extras, kind_of, refused_extra
from adapters.openai.waits import wait_of
from domain.chat.model_port import FailureKind, ModelFailure, Refusable

Charge = Literal["none", "possible", "partial"]
PERMANENT: frozenset[FailureKind] = frozenset(
    {"refused_key", "out_of_quota", "not_found", "wrong_path", "too_long", "bad_request"}
)
GAVE_UP_WAITING = frozenset({504, 524})  # a gateway's answers: the provider behind it may still be at work
SENTENCES: dict[FailureKind, str] = {
    "rate_limited": "the model provider asks us to slow down",
    "unavailable": "the model provider is not able to answer now",
    "refused_key": "the model provider refused the API key",
    "out_of_quota": "the account at the model provider is out of quota",
    "not_found": "the model provider has no such model",
    "wrong_path": "the model provider has nothing at this path: check the base URL",
    "too_long": "the prompt does not fit the model's context window",
    "unsupported": "the model does not take all that was asked",
    "bad_request": "the model provider refused the request",
    "unreadable": "the model's answer cannot be read",
}


def failure(
    kind: FailureKind,
    message: str,
    *,
    charge: Charge,
    retry_after: float | None = None,
    provider_call_id: str | None = None,
    refuses: Refusable | None = None,
    parameter: str | None = None,
) -> ModelFailure:
    return ModelFailure(
        kind,
        message,
        charge=charge,
        permanent=kind in PERMANENT,
        retry_after=retry_after,
        provider_call_id=provider_call_id,
        refuses=refuses,
        parameter=parameter,
    )


def unreadable(why: str) -> ModelFailure:
    return failure("unreadable", f"the model's answer cannot be read: {why}", charge="possible")


def cut() -> ModelFailure:
    return failure("cut", "the model's answer broke off", charge="possible")


def cancelled() -> ModelFailure:
    return failure("cancelled", "the call was cancelled while its answer arrived", charge="possible")


def broken_off_as(reason: str) -> ModelFailure:
    """The failure of an answer whose provider says that it did not end well."""
    return failure(
        "unavailable", f"{SENTENCES['unavailable']}: the answer ended with {reason[:80]!r}", charge="possible"
    )


def of_status(refused: APIStatusError, extras: Extras) -> ModelFailure:
    """The failure that an HTTP answer without success stands for."""
    status, headers = refused.status_code, refused.response.headers
    error = error_object(refused.response.content)
    kind = kind_of(status, error, extras)
    return failure(
        kind,
        f"{SENTENCES[kind]} (HTTP {status}){words_of(kind, error)}",
        charge="possible" if status in GAVE_UP_WAITING or kind == "unreadable" else "none",
        retry_after=_wait(kind, headers, error),
        provider_call_id=name_from(headers.get("x-request-id")),
        refuses=refused_extra(extras, error) if kind == "unsupported" else None,
    )


def in_stream(error: Any, extras: Extras) -> ModelFailure:
    """The failure that an error object inside a stream stands for; the status was 200 by then."""
    fields = fields_of(error)
    status = _status_in(fields)
    kind = kind_of(status, fields, extras)
    charge: Charge = "possible" if kind in ("unavailable", "unreadable") else "none"
    said = f"{SENTENCES[kind]} (inside its answer){words_of(kind, fields)}"
    refuses = refused_extra(extras, fields) if kind == "unsupported" else None
    return failure(kind, said, charge=charge, retry_after=_wait(kind, {}, fields), refuses=refuses)


def _status_in(fields: Mapping[str, Any]) -> int:
    named = [name_from(fields.get(name)) or "" for name in ("status", "code", "status_code", "http_code")]
    return next((int(name) for name in named if name.isascii() and name.isdigit() and len(name) == 3), SERVER_ERRORS)  # noqa: PLR2004  (digits of a status)


def _wait(kind: FailureKind, headers: Mapping[str, str], error: Mapping[str, Any]) -> float | None:
    if kind not in ("rate_limited", "unavailable"):
        return None
    return wait_of(headers, error, words_in(error), datetime.now(UTC))


def of_transport(fault: Exception) -> ModelFailure:
    """The failure that an error of the connection stands for, raised by the SDK or by its transport in mid-stream."""
    cause = fault.__cause__ if isinstance(fault, APIConnectionError) else fault
    if isinstance(cause, httpx2.ConnectError):
        return failure("unreachable", f"no connection to the model provider ({cause})", charge="none")
    if isinstance(cause, httpx2.TimeoutException | TimeoutError):
        return failure("timeout", "the model provider fell silent", charge="possible")
    if isinstance(cause, httpx2.RemoteProtocolError):
        return unreadable("it is not HTTP")
    return cut()
