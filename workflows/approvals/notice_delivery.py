"""The delivery of notices about an approval to the webhook receiver."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.activities import ApprovalActivities
    from activities.approvals.messages import ApprovalRequest, ApprovalState, WebhookNotification
    from activities.approvals.notices import build_notification

_TIMEOUT = timedelta(seconds=30)
_DEADLINE = timedelta(hours=24)
"""Time after which a notice to a webhook receiver is given up."""
_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(hours=1))


class NoticeSender:
    """Delivers the notices about one approval, each in a task of its own, until the receiver is gone."""

    def __init__(self, ask: ApprovalRequest, *, is_enabled: bool) -> None:
        self._ask = ask
        self._is_enabled = is_enabled
        self._deliveries: list[asyncio.Task[None]] = []

    def send(self, state: ApprovalState, what: str) -> None:
        """Start the delivery of a notice without waiting for it."""
        if self._is_enabled:
            notice = build_notification(self._ask, state, what, workflow.now())
            self._deliveries.append(asyncio.create_task(self._deliver(notice)))

    def is_done(self) -> bool:
        """Return whether all notices are delivered or given up."""
        return all(task.done() for task in self._deliveries)

    async def _deliver(self, notice: WebhookNotification) -> None:
        try:
            outcome = await workflow.execute_activity_method(
                ApprovalActivities.deliver_webhook,
                notice,
                start_to_close_timeout=_TIMEOUT,
                schedule_to_close_timeout=_DEADLINE,
                retry_policy=_RETRY,
                summary=notice.type,
            )
        except ActivityError as error:
            workflow.logger.warning("%s was not delivered: %s", notice.type, error.cause)
        else:
            self._is_enabled = self._is_enabled and outcome != "gone"
