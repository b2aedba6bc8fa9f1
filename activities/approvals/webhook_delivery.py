"""Delivers a notification to the webhook."""

import json
from datetime import datetime, timedelta

from temporalio.exceptions import ApplicationError

from activities.approvals.messages import WebhookNotification
from domain.approvals.ports import DeliveryFailed, Webhooks

_LONGEST_DELAY = timedelta(hours=1)


async def deliver(webhooks: Webhooks, notice: WebhookNotification) -> str:
    """Deliver a notification: `delivered`, or `gone` when the receiver no longer wants any.

    Raises:
        ApplicationError: it did not get there; Temporal retries, after the receiver's `Retry-After` if it sent one.
    """
    payload = {"type": notice.type, "timestamp": _utc(notice.at), "data": notice.data}
    try:
        return await webhooks.deliver(notice.notice_id, json.dumps(payload, separators=(",", ":")))
    except DeliveryFailed as failed:
        delay = min(timedelta(seconds=failed.retry_after), _LONGEST_DELAY) if failed.retry_after else None
        raise ApplicationError(str(failed), type="DeliveryFailed", next_retry_delay=delay) from failed


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
