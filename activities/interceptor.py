"""Every activity goes through here: its failures are translated, so that Temporal knows what is worth a retry.

A fault of ours would come again with every attempt. It is tried some times, because it may be one of a moment, and then
it is the activity's end: nothing is tried for ever. What was raised goes into the log. Histories, and whoever reads a
run's error, learn that something broke and no more: the text of one may hold a prompt, a key, or a statement of SQL.
"""

import asyncio
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, TemporalError
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.costs.model_errors import refused, unexpected
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
            raise refused(refusal) from None
        except asyncio.CancelledError:
            raise
        except TemporalError as failure:
            raise failure from None  # Temporal would store what it was raised from, word for word
        except Exception as fault:  # noqa: BLE001  (whatever it is, it has an end)
            raise _fault(fault) from None


def _fault(fault: Exception) -> ApplicationError:
    info = activity.info()
    is_last = info.attempt >= MOST_TRIES and not isinstance(fault, _PASSING)
    log = structlog.get_logger("activities")
    log.error(
        "a fault in an activity", activity=info.activity_type, attempt=info.attempt, final=is_last, exc_info=fault
    )
    return unexpected(final=is_last)
