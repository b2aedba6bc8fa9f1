"""Failures of activities that Temporal does not retry."""

from temporalio.exceptions import ApplicationError


def permanent_failure(code: str, message: str) -> ApplicationError:
    """Return an error that would recur with every attempt."""
    return ApplicationError(message, type=code, non_retryable=True)
