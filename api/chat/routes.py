"""Routes of chats."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from fastapi import APIRouter, Response

from api.chat.errors import failure_of_turn
from api.chat.schemas import ChatAnswer, ChatRequest, ChatSession, SessionId, to_session, to_turn_error, to_usage
from api.chat.service import ChatOutcome, ChatService, Utterance
from api.http.caller import Caller
from api.http.dependencies import (
    CurrentCaller,
    CurrentRequest,
    IdempotencyKey,
    Paged,
    fresh,
    joins_on_repeat,
    requires,
)
from api.http.request_context import RequestContext
from api.http.schemas import DeletedResource
from domain.chat.finish import finish_reason
from domain.chat.ports import ChatReads, SettledAnswers
from domain.errors import NotFound, Unavailable
from domain.tenant_ids import unqualified


def router(conversations: ChatService, reads: ChatReads, answers: SettledAnswers) -> APIRouter:
    """Build the routes `/api/v1/agents/chat` and those of its sessions."""
    routes = APIRouter(prefix="/api/v1/agents/chat", tags=["AI Agents"])
    _add_message_route(routes, conversations, answers)
    _add_session_routes(routes, conversations, reads)
    return routes


def _add_message_route(routes: APIRouter, conversations: ChatService, answers: SettledAnswers) -> None:
    @routes.post(
        "",
        responses={202: {"model": ChatAnswer, "description": "Accepted; poll `Location`."}},
        dependencies=[requires("write"), joins_on_repeat()],
    )
    async def chat(
        body: ChatRequest, request: CurrentRequest, caller: CurrentCaller, key: IdempotencyKey, response: Response
    ) -> ChatAnswer:
        """Sends a message to an agent and returns its answer: 202 and a `Location` to poll if it takes too long."""
        utterance = _to_utterance(body, caller, request.request_id, key)
        outcome = await conversations.send(utterance, timeout_s=body.timeout_s if body.wait else 0)
        answer = await _read_answer(outcome, answers, request)
        if answer.status in {"running", "awaiting_approval"}:
            response.status_code = 202
            response.headers["location"] = f"{routes.prefix}/{unqualified(outcome.session_id)}"
        return answer


def _add_session_routes(routes: APIRouter, conversations: ChatService, reads: ChatReads) -> None:
    @routes.get("/{session_id}", dependencies=[requires("read"), fresh("chat")])
    async def get_session(session_id: SessionId, page: Paged) -> ChatSession:
        """Returns a session of the caller's tenant and its turns."""
        session = await asyncio.to_thread(reads.session, session_id)
        standing = await conversations.read_state(session_id)
        if session is None and standing.is_open is None:
            raise Unavailable("it cannot be determined now whether the session exists")
        if session is None and not standing.is_open:
            raise NotFound("there is no such session")
        turns = await asyncio.to_thread(reads.turns, session_id, skip=page.skip, limit=page.limit)
        return to_session(session_id, session, standing.pending, turns, page)

    @routes.delete(
        "/{session_id}",
        responses={202: {"model": DeletedResource, "description": "Accepted; poll `Location`."}},
        dependencies=[requires("write"), fresh("chat")],
    )
    async def end_session(
        session_id: SessionId, request: CurrentRequest, caller: CurrentCaller, response: Response
    ) -> DeletedResource:
        """Ends a session: it accepts no more messages. Its messages stay readable."""
        name = unqualified(session_id)
        if await conversations.end_session(session_id, key_id=caller.id, request_id=request.request_id):
            return DeletedResource(id=name)
        response.status_code = 202
        response.headers["location"] = f"{routes.prefix}/{name}"
        return DeletedResource(id=name, status="deleting")


def _to_utterance(body: ChatRequest, caller: Caller, request_id: str, key: str | None) -> Utterance:
    context = body.context
    return Utterance(
        agent_id=body.agent_id,
        message=body.message,
        key_id=caller.id,
        tenant_id=caller.tenant_id,
        request_id=request_id,
        key=key,
        session_id=context.session_id,
        user_id=context.user_id,
        project_id=str(context.project_id) if context.project_id is not None else None,
        require_approval=body.require_approval,
    )


def _unfinished_answer(outcome: ChatOutcome, request: RequestContext) -> ChatAnswer:
    """Return the response for a turn without an answer: in progress, awaiting approval, or rejected."""
    said = outcome.said
    status: Literal["running", "awaiting_approval", "rejected"] = "running"
    if said is not None:
        status = "rejected" if said.status == "rejected" else "awaiting_approval"
    return ChatAnswer(
        session_id=outcome.session_id,
        turn=said.turn if said else None,
        agent_id=outcome.agent_id,
        response=None,
        status=status,
        model=None,
        usage=None,
        tools_used=said.tools_used if said else [],
        signature=None,
        workflow_id=outcome.workflow_id,
        duration_ms=request.elapsed_ms(),
        approval_id=said.approval_id if said else None,
        error=to_turn_error(said.code, said.error) if said else None,
    )


async def _read_answer(outcome: ChatOutcome, answers: SettledAnswers, request: RequestContext) -> ChatAnswer:
    """Return the response with the answer's text. A failed turn is raised, a rejected one is not.

    While the text cannot be read, the status is `running`: the turn was accepted, and paid for.

    Raises:
        UpstreamFailed, TooLarge, OverBudget, Unavailable, Conflict: the turn failed for this reason.
    """
    said = outcome.said
    if said is None or said.status in {"awaiting_approval", "rejected"}:
        return _unfinished_answer(outcome, request)
    if said.status != "completed" or said.reply_hash is None:
        raise failure_of_turn(outcome, said)
    try:
        answer = await asyncio.to_thread(answers.read, outcome.session_id, said.turn, said.reply_hash)
    except Unavailable:
        return _unfinished_answer(replace(outcome, said=None), request)
    return ChatAnswer(
        session_id=outcome.session_id,
        turn=said.turn,
        agent_id=outcome.agent_id,
        response=answer.text,
        status="completed",
        model=said.model,
        usage=to_usage(said.prompt_tokens, said.completion_tokens, Decimal(said.cost)),
        tools_used=said.tools_used,
        tools_unavailable=said.has_no_tools,
        finish_reason=finish_reason("completed", said.finish),
        approval_id=said.approval_id,
        signature=answer.signature,
        workflow_id=outcome.workflow_id,
        duration_ms=request.elapsed_ms(),
    )
