"""Every activity goes through here: refusals are translated, so that Temporal knows what is worth a retry."""

from typing import Any

from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.failures import refused
from domain.errors import Refused


class RefusalInterceptor(Interceptor):
    """Translates `domain.errors.Refused` raised in an activity."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  (its name upstream)
        return _Inbound(super().intercept_activity(next))


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  (its name upstream)
        try:
            return await super().execute_activity(input)
        except Refused as refusal:
            raise refused(refusal) from refusal
