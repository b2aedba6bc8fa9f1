"""Refusals: the errors by which the domain says no. HTTP and Temporal translate them once each."""

from typing import Any


class Refused(Exception):  # noqa: N818  (a refusal is a result, not an accident)
    """Base class of all refusals. `details` are shown to the caller, so they must contain no secret."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Malformed(Refused):
    """The request cannot be parsed."""


class Invalid(Refused):
    """The request is well formed but invalid. `field` and `reason` name the first problem."""


class Unauthenticated(Refused):
    """A key is required, or the one sent is wrong or revoked."""


class Forbidden(Refused):
    """The key is valid but its scopes are not enough."""


class NotFound(Refused):
    """It does not exist, or this caller may not see it."""


class Conflict(Refused):
    """It contradicts the current state."""


class VersionConflict(Conflict):
    """Another append to the stream came first: load again and decide again."""


class PreconditionFailed(Refused):
    """`If-Match` names another version than the current one."""


class TooLarge(Refused):
    """A stated limit is exceeded."""


class RateLimited(Refused):
    """Too many requests; `retry_after` says when, in seconds."""


class OverBudget(Refused):
    """A cost limit would be exceeded."""


class UpstreamFailed(Refused):
    """The model provider failed, or refused the request."""


class Unavailable(Refused):
    """A required server cannot be reached; `retry_after` says when to retry, in seconds."""
