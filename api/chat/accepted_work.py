"""Work that was accepted, and that a request with the same key comes back for."""

from typing import Literal

from fastapi import Response
from starlette.requests import Request

from api.chat.service import Conversations, Outcome
from api.http.schemas import View
from domain.errors import Unavailable

_SESSIONS = "/api/v1/agents/chat"


class Accepted(View):
    """It is worked on, or waits for a person. The same request with the same key, after `Retry-After`, goes on with it.

    `session_id` is the chat in which it is worked on, and `Location` where that can be polled.
    """

    status: Literal["running", "awaiting_approval"]
    message: str
    session_id: str
    approval_id: str | None = None


class StillWorking(Unavailable):
    """What was asked for is not there yet, and will be."""

    def __init__(self, accepted: Accepted, *, retry_after: int) -> None:
        told = {"session_id": accepted.session_id, "approval_id": accepted.approval_id}
        super().__init__(accepted.message, retry_after=retry_after, **told)
        self.accepted = accepted
        self.retry_after = retry_after


async def to_be_asked_again(
    conversations: Conversations, outcome: Outcome, *, key: str | None, message: str, retry_after: int
) -> Unavailable:
    """What to raise for work that has no end in time.

    Without a key nobody can come back for it: it is stopped, so that nothing is done and paid for nobody.
    """
    if key is None:
        await conversations.stop(outcome.session_id)
        return Unavailable(f"{message}; without an Idempotency-Key it was given up", retry_after=retry_after)
    approval_id = outcome.said.approval_id if outcome.said else None
    status: Literal["running", "awaiting_approval"] = "awaiting_approval" if approval_id else "running"
    accepted = Accepted(status=status, message=message, session_id=outcome.session_id, approval_id=approval_id)
    return StillWorking(accepted, retry_after=retry_after)


async def answer(_: Request, error: Exception) -> Response:
    """202, and where to look."""
    if not isinstance(error, StillWorking):
        raise error
    headers = {"location": f"{_SESSIONS}/{error.accepted.session_id}", "retry-after": str(error.retry_after)}
    return Response(error.accepted.model_dump_json(), 202, headers, media_type="application/json")
