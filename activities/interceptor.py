"""Translates the errors of all activities, so that Temporal retries only those worth a retry.

A fault of the platform would recur with every attempt. It is retried a limited number of times, because it may be
transient, and then fails the activity: nothing is retried for ever. The log has the original error. Histories and
clients get a general message only: the original text may contain a prompt, a key, or an SQL statement.
"""

import asyncio
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, TemporalError
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.costs.model_errors import refusal_error, unexpected_error
from domain.errors import DomainError

MOST_TRIES = 8
"""Attempts at an activity that ends in a fault: about half a minute, like ledger work."""
_PASSING = (OSError, RPCError)
"""Outages that are not translated to a domain error: retried as long as the retry policy says."""


class RefusalInterceptor(Interceptor):
    """Translates the errors of an activity: refusals (`domain.errors.Refused`), and faults."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  (its name upstream)
        return _Inbound(super().intercept_activity(next))


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  (its name upstream)
        try:
            return await super().execute_activity(input)
        except DomainError as refusal:
            raise refusal_error(refusal) from None
        except asyncio.CancelledError:
            # Temporal's own signal: translating it would turn a cancellation into a failure
            raise
        except TemporalError as failure:
            raise failure from None  # without `from None` Temporal would store the cause word for word
        except Exception as fault:  # noqa: BLE001  (whatever it is, it has an end)
            raise _fault(fault) from None


def _fault(fault: Exception) -> ApplicationError:
    info = activity.info()
    is_last = info.attempt >= MOST_TRIES and not isinstance(fault, _PASSING)
    log = structlog.get_logger("activities")
    log.error(
        "a fault in an activity", activity=info.activity_type, attempt=info.attempt, final=is_last, exc_info=fault
    )
    return unexpected_error(final=is_last)
