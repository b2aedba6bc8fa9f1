"""Accepted work that a repeated request continues."""

from typing import Literal

from fastapi import Response
from starlette.requests import Request

from api.chat.service import ChatOutcome, ChatService
from api.http.schemas import SessionName, View
from domain.errors import Unavailable

_SESSIONS = "/api/v1/agents/chat"


class AcceptedWork(View):
    """The work is in progress or awaits approval. Repeat the request with the same key after `Retry-After`.

    `session_id` is the chat in which the work is done, and `Location` where it can be polled.
    """

    status: Literal["running", "awaiting_approval"]
    message: str
    session_id: SessionName
    approval_id: str | None = None


class StillWorking(Unavailable):
    """The requested result does not exist yet, but will."""

    def __init__(self, accepted: AcceptedWork, *, retry_after: int) -> None:
        told = {"session_id": accepted.session_id, "approval_id": accepted.approval_id}
        super().__init__(accepted.message, retry_after=retry_after, **told)
        self.accepted = accepted
        self.retry_after = retry_after


async def make_retry_error(
    conversations: ChatService, outcome: ChatOutcome, *, key: str | None, message: str, retry_after: int
) -> Unavailable:
    """Return the error to raise for work that has not ended in time.

    Without a key no request can continue it: it is cancelled, so that nobody pays for an unused result.
    """
    if key is None:
        await conversations.cancel_session(outcome.session_id)
        return Unavailable(f"{message}; without an Idempotency-Key it was cancelled", retry_after=retry_after)
    approval_id = outcome.said.approval_id if outcome.said else None
    status: Literal["running", "awaiting_approval"] = "awaiting_approval" if approval_id else "running"
    accepted = AcceptedWork(status=status, message=message, session_id=outcome.session_id, approval_id=approval_id)
    return StillWorking(accepted, retry_after=retry_after)


async def respond_accepted(_: Request, error: Exception) -> Response:
    """Return 202 with the location to poll."""
    if not isinstance(error, StillWorking):
        raise error
    headers = {"location": f"{_SESSIONS}/{error.accepted.session_id}", "retry-after": str(error.retry_after)}
    return Response(error.accepted.model_dump_json(), 202, headers, media_type="application/json")
