"""The code and message of a node's failure, derived from a failed activity or child workflow."""

from temporalio.exceptions import FailureError


def describe_failure(error: FailureError) -> tuple[str, str]:
    """Return the code and message of a failed activity or child workflow."""
    cause = error.cause or error
    return getattr(cause, "type", None) or "INTERNAL_ERROR", getattr(cause, "message", None) or str(cause)
