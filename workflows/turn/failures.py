"""Why a turn has no answer, from the failure of an activity."""

from typing import cast, get_args

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from domain.chat.events import FailureCode


def is_revoked(error: ActivityError) -> bool:
    """Whether the work is not to be done, because its sender was told that it was not accepted."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == "Revoked"


def why(error: ActivityError) -> tuple[FailureCode, str]:
    """The code and sentence of a turn whose thinking failed."""
    cause = error.cause
    if isinstance(cause, TemporalTimeoutError):
        return "UPSTREAM_ERROR", "there was no answer in time"
    if isinstance(cause, ApplicationError):
        code = cause.type if cause.type in get_args(FailureCode) else "INTERNAL_ERROR"
        return cast("FailureCode", code), cause.message
    return "INTERNAL_ERROR", "the turn could not be worked on"
