"""Routes of a chat's turns: fork the session at a turn, or rate an answer."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.chat.schemas import SessionId, SessionOrigin
from api.http.dependencies import CurrentRequest, IdempotencyKey, requires
from api.http.request_context import RequestContext
from api.http.schemas import MAX_INT, Body, SessionName, View
from domain.chat import commands
from domain.events import Cause
from domain.ids import derived_id, random_id
from domain.ledger import Ledger
from domain.tenant_ids import qualified
from workflows.chat.client import workflow_id

PREFIX = "/api/v1/agents/chat"
MAX_COMMENT = 4_000
"""Maximum characters of a comment on an answer."""


class ForkRequest(Body):
    """The last turn that the new session copies from this one."""

    turn: Annotated[int, Field(ge=1, le=MAX_INT)]


class ForkedSession(View):
    """A new session that continues the history of another."""

    session_id: SessionName
    agent_id: str
    status: Literal["idle"]
    turn: int
    forked_from: SessionOrigin
    workflow_id: str


class RatingRequest(Body):
    """The quality of an answer, from 1 to 5 (best)."""

    rating: Annotated[int, Field(ge=1, le=5)]
    comment: Annotated[str, Field(min_length=1, max_length=MAX_COMMENT, pattern=r"^[^\x00]*$")] | None = None


class RatingView(View):
    """The current rating."""

    session_id: SessionName
    turn: int
    rating: int
    comment: str | None


def router(ledger: Ledger, now: Callable[[], datetime]) -> APIRouter:
    """Build the routes below `/api/v1/agents/chat/{session_id}`."""
    routes = APIRouter(prefix=PREFIX, tags=["AI Agents"], dependencies=[requires("write")])

    def cause(request: RequestContext) -> Cause:
        return request.cause(now())

    @routes.post("/{session_id}/fork", status_code=201)
    async def fork(
        session_id: SessionId, body: ForkRequest, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> ForkedSession:
        """Starts a new session with this one's history up to a turn; both continue independently."""
        name = f"session_{derived_id('fork', key)}" if key else random_id("session")
        fork_id = qualified(request.caller.tenant_id, name)
        opening = await asyncio.to_thread(commands.fork, ledger, session_id, body.turn, fork_id, cause(request))
        response.headers["location"] = f"{PREFIX}/{name}"
        return ForkedSession(
            session_id=fork_id,
            agent_id=opening.agent_id,
            status="idle",
            turn=body.turn,
            forked_from=SessionOrigin(session_id=session_id, turn=body.turn),
            workflow_id=workflow_id(fork_id),
        )

    @routes.post("/{session_id}/turns/{turn}/rating")
    async def rate(
        session_id: SessionId,
        turn: Annotated[int, Path(ge=1, le=MAX_INT)],
        body: RatingRequest,
        request: CurrentRequest,
        key: IdempotencyKey,
    ) -> RatingView:
        """Rates an answer. The latest rating of a turn counts."""
        rating = commands.TurnRating(session_id, turn, body.rating, body.comment)
        once = f"rating:{key or random_id('rating')}"
        await asyncio.to_thread(commands.rate, ledger, rating, cause(request), key=once)
        return RatingView.model_validate(rating)

    return routes
