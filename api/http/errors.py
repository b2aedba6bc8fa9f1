"""The translation of errors to HTTP: one table, one envelope."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from temporalio.service import RPCError, RPCStatusCode

from domain import errors

INTERNAL = (500, "INTERNAL_ERROR")


class UnsupportedMediaType(errors.DomainError):
    """The body is not of a media type that the route accepts."""


TABLE: Mapping[type[BaseException], tuple[int, str]] = {
    errors.Malformed: (400, "BAD_REQUEST"),
    errors.Unauthenticated: (401, "UNAUTHORIZED"),
    errors.Forbidden: (403, "FORBIDDEN"),
    errors.NotFound: (404, "NOT_FOUND"),
    errors.Conflict: (409, "CONFLICT"),
    errors.PreconditionFailed: (412, "PRECONDITION_FAILED"),
    errors.TooLarge: (413, "PAYLOAD_TOO_LARGE"),
    UnsupportedMediaType: (415, "UNSUPPORTED_MEDIA_TYPE"),
    errors.Invalid: (422, "VALIDATION_ERROR"),
    errors.RateLimited: (429, "RATE_LIMIT_EXCEEDED"),
    errors.OverBudget: (429, "BUDGET_EXCEEDED"),
    errors.UpstreamFailed: (502, "UPSTREAM_ERROR"),
    errors.Unavailable: (503, "SERVICE_UNAVAILABLE"),
    TimeoutError: (503, "SERVICE_UNAVAILABLE"),
    ConnectionError: (503, "SERVICE_UNAVAILABLE"),
}
CODES: Mapping[int, str] = {405: "METHOD_NOT_ALLOWED", **dict(reversed([*TABLE.values()]))}
"""The error code of each status. Of the two for 429, a bare one means the rate limit."""

_UNREACHABLE = {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.RESOURCE_EXHAUSTED}
_RETRY_AFTER_S = 2
_MAX_ERRORS = 100
_MAX_NAME = 200
_MAX_REASON = 500  # some messages repeat the input


@dataclass(frozen=True, slots=True)
class Failure:
    """A response with a status of 400 or more."""

    status: int
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()

    def body(self, request_id: str) -> bytes:
        """Return the error envelope as JSON."""
        error = {"code": self.code, "message": self.message, "details": self.details}
        envelope = {"success": False, "error": error, "timestamp": now(), "request_id": request_id}
        try:
            return orjson.dumps(envelope, default=str, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:  # integers beyond 64 bits, or lone surrogates, which a client may put into a path
            return json.dumps(envelope, default=str).encode()


def now() -> str:
    """Return the current time as an RFC 3339 timestamp in UTC, to the millisecond."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def to_failure(error: BaseException) -> Failure:
    """Return the response for an error. An error outside the table is unexpected, and none of its details are shown."""
    if isinstance(error, errors.DomainError):
        return _from_refusal(error)
    if isinstance(error, RequestValidationError):
        return _from_validation(error)
    if isinstance(error, HTTPException):
        return _from_http(error)
    if isinstance(error, TimeoutError | ConnectionError) or (
        isinstance(error, RPCError) and error.status in _UNREACHABLE
    ):
        return _from_refusal(errors.Unavailable("a service that this request needs cannot be reached now"))
    return Failure(*INTERNAL, "an internal error occurred; find it in the log by the request id")


def _from_refusal(error: errors.DomainError) -> Failure:
    status, code = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), INTERNAL)
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return _unprocessable(error)
    return Failure(status, code, error.message, error.details, tuple(_headers(status, error)))


def _headers(status: int, error: errors.DomainError) -> Iterator[tuple[str, str]]:
    if status == HTTPStatus.UNAUTHORIZED:
        yield "www-authenticate", 'Bearer realm="convergio"'
    wait = error.details.get("retry_after")
    if wait is None and isinstance(error, errors.RateLimited | errors.Unavailable):
        wait = _RETRY_AFTER_S
    if wait is not None:
        yield "retry-after", str(max(1, ceil(wait)))


def _unprocessable(error: errors.DomainError) -> Failure:
    """Return a refusal by the domain in the form of a validation error; its details may have `errors` already."""
    first = {name: error.details[name] for name in ("field", "reason") if name in error.details}
    details = {"errors": [{"reason": error.message, **first}], **error.details}
    return Failure(422, "VALIDATION_ERROR", error.message, details)


def _from_validation(error: RequestValidationError) -> Failure:
    found = [_fault(fault) for fault in error.errors()[:_MAX_ERRORS]]
    message = f"{found[0]['field']}: {found[0]['reason']}" if found else "the request is not valid"
    first = {"field": found[0]["field"], "reason": found[0]["reason"]} if found else {}
    return Failure(422, "VALIDATION_ERROR", message, {**first, "errors": found})


def _fault(fault: Mapping[str, Any]) -> dict[str, str]:
    """Return one invalid field. Its value is not repeated: it may be secret or large."""
    location, *names = fault["loc"] or ("body",)
    name = ".".join(str(part) for part in names) or str(location)
    return {
        "field": name[:_MAX_NAME],
        "reason": fault["msg"][:_MAX_REASON],
        "location": str(location),
        "type": fault["type"],
    }


def _from_http(error: HTTPException) -> Failure:
    code = CODES.get(error.status_code, "BAD_REQUEST" if error.status_code < INTERNAL[0] else "INTERNAL_ERROR")
    headers = tuple((name.lower(), value) for name, value in (error.headers or {}).items())
    return Failure(error.status_code, code, str(error.detail), headers=headers)
