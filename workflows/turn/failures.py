"""The failure code and message of a turn, derived from a failed activity."""

from typing import cast, get_args

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from domain.chat.events import FailureCode


def is_revoked(error: ActivityError) -> bool:
    """Return whether the work was revoked: its sender was told that it was not accepted."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == "Revoked"


def classify_failure(error: ActivityError) -> tuple[FailureCode, str]:
    """Return the code and message of a turn whose model step failed."""
    cause = error.cause
    if isinstance(cause, TemporalTimeoutError):
        return "UPSTREAM_ERROR", "there was no answer in time"
    if isinstance(cause, ApplicationError):
        code = cause.type if cause.type in get_args(FailureCode) else "INTERNAL_ERROR"
        return cast("FailureCode", code), cause.message
    return "INTERNAL_ERROR", "the turn could not be executed"
