"""Webhooks by the Standard Webhooks specification: one signed POST, without redirects."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import aiohttp
from standardwebhooks import Webhook

from domain.approvals.ports import DeliveryFailed

TIMEOUT_S = 15.0
_GONE = 410


class HttpWebhooks:
    """`domain.approvals.ports.Webhooks` at one URL. `secret` is `whsec_` and base64; receivers verify with it."""

    def __init__(self, url: str, secret: str, now: Callable[[], datetime]) -> None:
        self._url = url
        self._signing = Webhook(secret)
        self._now = now

    async def deliver(self, notice_id: str, body: str) -> Literal["delivered", "gone"]:
        """Make one attempt; see the port. A signature is valid for five minutes, so each attempt has its own."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            # no redirects: they would carry the signed body to another host
            async with (
                aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    self._url, data=body.encode(), headers=self._headers(notice_id, body), allow_redirects=False
                ) as answer,
            ):
                return _outcome(answer.status, answer.headers.get("retry-after"))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DeliveryFailed(f"the receiver cannot be reached: {type(error).__name__}") from error

    def _headers(self, notice_id: str, body: str) -> dict[str, str]:
        at = self._now()
        return {
            "content-type": "application/json",
            "user-agent": "convergio",
            "webhook-id": notice_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signing.sign(notice_id, at, body),
        }


def _outcome(status: int, retry_after: str | None) -> Literal["delivered", "gone"]:
    if 200 <= status < 300:  # noqa: PLR2004  (2xx)
        return "delivered"
    if status == _GONE:
        return "gone"
    wait = float(retry_after) if retry_after and retry_after.isdecimal() else None
    raise DeliveryFailed(f"the receiver answered {status}", retry_after=wait)
