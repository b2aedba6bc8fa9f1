"""Every activity goes through here: its failures are translated, so that Temporal knows what is worth a retry.

A fault of ours would come again with every attempt. It is tried some times, because it may be one of a moment, and then
it is the activity's end: nothing is tried for ever. What was raised is told in the log, and not to whoever waits.
"""

import asyncio
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, TemporalError
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.failures import refused
from domain.errors import Refused

MOST_TRIES = 8
"""Attempts at what ends in a fault of ours: half a minute, as ledger work is tried."""
_PASSING = (OSError, RPCError)
"""Something is away, and nobody has said so in the domain's words: it is tried as long as its policy says."""


class RefusalInterceptor(Interceptor):
    """Translates what is raised in an activity: refusals (`domain.errors.Refused`), and faults."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  (its name upstream)
        return _Inbound(super().intercept_activity(next))


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  (its name upstream)
        try:
            return await super().execute_activity(input)
        except Refused as refusal:
            raise refused(refusal) from refusal
        except (TemporalError, asyncio.CancelledError, *_PASSING):
            raise
        except Exception as fault:  # noqa: BLE001  (whatever it is, it has an end)
            raise _fault(fault) from None


def _fault(fault: Exception) -> ApplicationError:
    info = activity.info()
    is_last = info.attempt >= MOST_TRIES
    log = structlog.get_logger("activities")
    log.error(
        "a fault in an activity", activity=info.activity_type, attempt=info.attempt, final=is_last, exc_info=fault
    )
    message = f"an error of the platform's own in {info.activity_type}; its log has it"
    return ApplicationError(message, type="INTERNAL_ERROR", non_retryable=is_last)
