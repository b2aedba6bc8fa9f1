"""Chats over HTTP."""

import asyncio
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from api.chat_runs import workflow_id
from api.context import RequestContext
from api.conversations import Conversations, Outcome, Utterance
from api.dependencies import CurrentCaller, CurrentRequest, IdempotencyKey, Page, Paged, fresh, requires
from api.models import Body, Deleted, Listing, Money, Timestamp, View
from domain.chat.ports import ChatReads, SpokenTurn
from domain.chat.projection import SessionRow
from domain.content import ContentStore
from domain.errors import NotFound, OverBudget, Refused, TooLarge, Unavailable, UpstreamFailed
from workflows.chat_messages import Said

SESSION_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
MAX_MESSAGE = 100_000
"""Characters of one message."""
MAX_WAIT_S = 300

SessionId = Annotated[str, Path(pattern=SESSION_ID)]


class ChatContext(Body):
    """Who speaks, and where. Other keys are allowed and not kept."""

    model_config = ConfigDict(extra="allow", str_max_length=10_000)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    session_id: Annotated[str, Field(pattern=SESSION_ID, description="Continues this session, or opens it.")] | None = (
        None
    )
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class ChatRequest(Body):
    """A message to an agent."""

    agent_id: Annotated[str, Field(min_length=1, max_length=64)]
    message: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")]
    context: ChatContext = ChatContext()
    wait: Annotated[bool, Field(description="False: answer 202 as soon as the message is safe.")] = True
    timeout_s: Annotated[float, Field(gt=0, le=MAX_WAIT_S, description="Wait this long, then answer 202.")] = 60


class ChatUsage(View):
    """Tokens, and US dollars."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: Money


class ChatAnswer(View):
    """What the agent said. While it is worked on, `status` is `running` and what is not known yet is null."""

    session_id: str
    turn: int | None
    agent_id: str
    response: str | None
    status: Literal["completed", "running"]
    model: str | None
    usage: ChatUsage | None
    tools_used: list[str]
    signature: str | None
    workflow_id: str
    duration_ms: int


class TurnError(View):
    """Why a turn has no answer."""

    code: str
    message: str


class ChatTurn(View):
    """One message and what became of it."""

    turn: int
    message_id: str
    message: str | None
    response: str | None
    status: Literal["running", "completed", "failed"]
    agent_id: str
    model: str | None
    usage: ChatUsage | None
    error: TurnError | None
    at: Timestamp


class ChatSession(Listing):
    """A session. `status` is `running` while any accepted message is unanswered (`pending` counts them)."""

    session_id: str
    agent_id: str | None
    workflow_id: str
    status: Literal["running", "idle", "ended"]
    pending: int | None
    opened_at: Timestamp | None
    last_at: Timestamp | None
    turns: list[ChatTurn]


_FAILURES: dict[str, type[Refused]] = {
    "UPSTREAM_ERROR": UpstreamFailed,
    "PAYLOAD_TOO_LARGE": TooLarge,
    "BUDGET_EXCEEDED": OverBudget,
    "SERVICE_UNAVAILABLE": Unavailable,
}


def router(conversations: Conversations, reads: ChatReads, content: ContentStore) -> APIRouter:
    """`/api/v1/agents/chat` and its sessions."""
    routes = APIRouter(prefix="/api/v1/agents/chat", tags=["AI Agents"])

    @routes.post(
        "",
        response_model=ChatAnswer,
        responses={202: {"model": ChatAnswer, "description": "Accepted; poll `Location`."}},
        dependencies=[requires("write")],
    )
    async def chat(
        body: ChatRequest, request: CurrentRequest, caller: CurrentCaller, key: IdempotencyKey, response: Response
    ) -> Any:
        """Say something to an agent and get its answer: 202 and a `Location` to poll when it takes too long."""
        utterance = _utterance(body, caller.id, request.request_id, key)
        outcome = await conversations.say(utterance, timeout_s=body.timeout_s if body.wait else 0)
        if outcome.said is None:
            response.status_code = 202
            response.headers["location"] = f"{routes.prefix}/{outcome.session_id}"
            return _running(outcome, request)
        return await _answer(outcome, outcome.said, content, request)

    @routes.get("/{session_id}", response_model=ChatSession, dependencies=[requires("read"), fresh("chat")])
    async def get_session(session_id: SessionId, page: Paged, caller: CurrentCaller) -> Any:
        """A session and its turns. Another key's session is 404."""
        session = await asyncio.to_thread(reads.session, session_id)
        if session is not None and session.key_id != caller.id:
            raise NotFound("there is no such session")
        standing = await conversations.standing(session_id, key_id=caller.id)
        if session is None and standing.is_open is None:
            raise Unavailable("whether there is such a session cannot be said now")
        if session is None and not standing.is_open:
            raise NotFound("there is no such session")
        turns = await asyncio.to_thread(reads.turns, session_id, skip=page.skip, limit=page.limit)
        return _session(session_id, session, standing.pending, turns, page)

    @routes.delete("/{session_id}", response_model=Deleted, dependencies=[requires("write"), fresh("chat")])
    async def end_session(session_id: SessionId, request: CurrentRequest, caller: CurrentCaller) -> Any:
        """End a session: nothing more can be said in it. What was said stays readable."""
        await conversations.end(session_id, key_id=caller.id, request_id=request.request_id)
        return Deleted(id=session_id)

    return routes


def _utterance(body: ChatRequest, key_id: str, request_id: str, key: str | None) -> Utterance:
    context = body.context
    return Utterance(
        agent_id=body.agent_id,
        message=body.message,
        key_id=key_id,
        request_id=request_id,
        key=key,
        session_id=context.session_id,
        user_id=context.user_id,
        project_id=str(context.project_id) if context.project_id is not None else None,
    )


def _running(outcome: Outcome, request: RequestContext) -> ChatAnswer:
    return ChatAnswer(
        session_id=outcome.session_id,
        turn=None,
        agent_id=outcome.agent_id,
        response=None,
        status="running",
        model=None,
        usage=None,
        tools_used=[],
        signature=None,
        workflow_id=outcome.workflow_id,
        duration_ms=request.elapsed_ms(),
    )


async def _answer(outcome: Outcome, said: Said, content: ContentStore, request: RequestContext) -> ChatAnswer:
    """The answer with its words. A turn that failed is a failure.

    Raises:
        UpstreamFailed, TooLarge, OverBudget, Unavailable: the turn failed for this reason.
    """
    if said.status != "completed" or said.reply_hash is None:
        details = {"session_id": outcome.session_id, "turn": said.turn, "workflow_id": outcome.workflow_id}
        failure = _FAILURES.get(said.code or "")
        if failure is None:
            raise RuntimeError(f"turn {said.turn} of {outcome.workflow_id} failed: {said.error}")
        raise failure(said.error or "the turn failed", status="failed", **details)
    texts = await asyncio.to_thread(content.get, outcome.session_id, [said.reply_hash])
    return ChatAnswer(
        session_id=outcome.session_id,
        turn=said.turn,
        agent_id=outcome.agent_id,
        response=texts.get(said.reply_hash),
        status="completed",
        model=said.model,
        usage=_usage(said.prompt_tokens, said.completion_tokens, Decimal(said.cost)),
        tools_used=[],
        signature=None,
        workflow_id=outcome.workflow_id,
        duration_ms=request.elapsed_ms(),
    )


def _usage(prompt_tokens: int, completion_tokens: int, cost: Decimal) -> ChatUsage:
    return ChatUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        cost=cost,
    )


def _session(
    session_id: str, row: SessionRow | None, pending: int | None, turns: list[SpokenTurn], page: Page
) -> ChatSession:
    """The session as its view has it; `pending` is what Temporal knows beyond that."""
    status = row.status if row else "idle"
    return ChatSession(
        session_id=session_id,
        agent_id=row.agent_id if row else None,
        workflow_id=workflow_id(session_id),
        status="running" if pending and status == "idle" else status,
        pending=pending,
        opened_at=row.opened_at if row else None,
        last_at=row.last_at if row else None,
        turns=[_turn(turn) for turn in turns],
        **page.of(row.turns if row else 0),
    )


def _turn(turn: SpokenTurn) -> ChatTurn:
    row = turn.row
    return ChatTurn(
        turn=row.turn,
        message_id=row.message_id,
        message=turn.message,
        response=turn.response,
        status=row.status,
        agent_id=row.agent_id,
        model=row.model or None,
        usage=_usage(row.prompt_tokens, row.completion_tokens, row.cost) if row.status == "completed" else None,
        error=TurnError(code=row.code, message=row.error) if row.code and row.error else None,
        at=row.at,
    )
