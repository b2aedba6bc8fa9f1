"""What people do with the turns of a chat: begin another session at one, or rate it."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field

from api.chat.schemas import Forked, SessionId
from api.http.dependencies import CurrentRequest, IdempotencyKey, requires
from api.http.request_context import RequestContext
from api.http.schemas import MAX_INT, Body, View
from domain.chat import commands
from domain.events import Cause
from domain.ids import derived, random_id
from domain.ledger import Ledger
from workflows.chat.client import workflow_id

PREFIX = "/api/v1/agents/chat"
MAX_COMMENT = 4_000
"""Characters of what somebody says about an answer."""


class ForkRequest(Body):
    """The last turn that the new session has from this one."""

    turn: Annotated[int, Field(ge=1, le=MAX_INT)]


class ForkedSession(View):
    """A new session, which goes on where the other one was."""

    session_id: str
    agent_id: str
    status: Literal["idle"]
    turn: int
    forked_from: Forked
    workflow_id: str


class RatingRequest(Body):
    """How good an answer is, 5 being best."""

    rating: Annotated[int, Field(ge=1, le=5)]
    comment: Annotated[str, Field(min_length=1, max_length=MAX_COMMENT, pattern=r"^[^\x00]*$")] | None = None


class Rating(View):
    """The rating that counts now."""

    session_id: str
    turn: int
    rating: int
    comment: str | None


def router(ledger: Ledger, now: Callable[[], datetime]) -> APIRouter:
    """Below `/api/v1/agents/chat/{session_id}`."""
    routes = APIRouter(prefix=PREFIX, tags=["AI Agents"], dependencies=[requires("write")])

    def cause(request: RequestContext) -> Cause:
        return Cause(by=request.caller.id, because=request.request_id, at=now())

    @routes.post("/{session_id}/fork", status_code=201)
    async def fork(
        session_id: SessionId, body: ForkRequest, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> ForkedSession:
        """Begin a new session that has this one's history up to a turn, and goes its own way from there."""
        fork_id = f"session_{derived('fork', key)}" if key else random_id("session")
        opening = await asyncio.to_thread(commands.fork, ledger, session_id, body.turn, fork_id, cause(request))
        response.headers["location"] = f"{PREFIX}/{fork_id}"
        return ForkedSession(
            session_id=fork_id,
            agent_id=opening.agent_id,
            status="idle",
            turn=body.turn,
            forked_from=Forked(session_id=session_id, turn=body.turn),
            workflow_id=workflow_id(fork_id),
        )

    @routes.post("/{session_id}/turns/{turn}/rating")
    async def rate(
        session_id: SessionId,
        turn: Annotated[int, Path(ge=1, le=MAX_INT)],
        body: RatingRequest,
        request: CurrentRequest,
        key: IdempotencyKey,
    ) -> Rating:
        """Say how good an answer is. The latest rating of a turn counts."""
        rating = commands.Rating(session_id, turn, body.rating, body.comment)
        once = f"rating:{key or random_id('rating')}"
        await asyncio.to_thread(commands.rate, ledger, rating, cause(request), key=once)
        return Rating.model_validate(rating)

    return routes
