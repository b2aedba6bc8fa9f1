"""Refusals: what the platform says no with. HTTP and Temporal translate them once each."""

from typing import Any


class Refused(Exception):  # noqa: N818  (a refusal is an answer, not an accident)
    """Base of all refusals. `details` are shown to the caller, so they hold no secret."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Malformed(Refused):
    """The request cannot be read at all."""


class Invalid(Refused):
    """The request is well formed but says something that cannot be. `field` and `reason` name the first fault."""


class Unauthenticated(Refused):
    """A key was needed, or the one sent is wrong or revoked."""


class Forbidden(Refused):
    """The key is good but its scopes do not reach this far."""


class NotFound(Refused):
    """There is no such thing, or none that this caller may see."""


class Conflict(Refused):
    """It contradicts what has already happened."""


class VersionConflict(Conflict):
    """Somebody else appended to the stream first: load again and decide again."""


class PreconditionFailed(Refused):
    """`If-Match` names another version than the one that stands."""


class TooLarge(Refused):
    """More than a stated bound."""


class RateLimited(Refused):
    """Too many requests; `retry_after` says when, in seconds."""


class OverBudget(Refused):
    """A cost limit would be overrun."""


class UpstreamFailed(Refused):
    """The model provider failed, or refused us."""


class Unavailable(Refused):
    """Something this needs cannot be reached now; `retry_after` says when to try again, in seconds."""
