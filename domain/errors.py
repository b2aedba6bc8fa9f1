"""Refusals: the errors by which the domain says no. HTTP and Temporal translate them once each."""

from typing import Any


class DomainError(Exception):
    """Base class of all refusals. `details` are shown to the caller, so they must contain no secret."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Malformed(DomainError):
    """The request cannot be parsed."""


class Invalid(DomainError):
    """The request is well formed but invalid. `field` and `reason` name the first problem."""


class Unauthenticated(DomainError):
    """A key is required, or the one sent is wrong or revoked."""


class Forbidden(DomainError):
    """The key is valid but its scopes are not enough."""


class NotFound(DomainError):
    """It does not exist, or this caller may not see it."""


class Conflict(DomainError):
    """It contradicts the current state."""


class VersionConflict(Conflict):
    """Another append to the stream came first: load again and decide again."""


class PreconditionFailed(DomainError):
    """`If-Match` names another version than the current one."""


class TooLarge(DomainError):
    """A stated limit is exceeded."""


class RateLimited(DomainError):
    """Too many requests; `retry_after` says when, in seconds."""


class OverBudget(DomainError):
    """A cost limit would be exceeded."""


class UpstreamFailed(DomainError):
    """The model provider failed, or refused the request."""


class Unavailable(DomainError):
    """A required server cannot be reached; `retry_after` says when to retry, in seconds."""
