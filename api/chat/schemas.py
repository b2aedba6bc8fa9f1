"""Request and response models of chats."""

from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Depends, Path
from pydantic import AfterValidator, ConfigDict, Field

from api.http.dependencies import CurrentTenant, Page
from api.http.schemas import Body, Listing, Money, SessionName, Timestamp, View
from domain.chat.finish import FinishReason, finish_reason
from domain.chat.ports import TurnWithTexts
from domain.chat.turns import TurnStatus
from domain.chat.views import SessionRow, SessionStatus
from domain.ids import RESERVED, is_reserved
from domain.tenant_ids import qualified
from workflows.chat.client import workflow_id

SESSION_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
MAX_MESSAGE = 100_000
"""Maximum characters of one message."""
MAX_WAIT_S = 300


async def _in_tenant(session_id: Annotated[str, Path(pattern=SESSION_ID)], tenant_id: CurrentTenant) -> str:
    return qualified(tenant_id, session_id)


SessionId = Annotated[str, Depends(_in_tenant)]
"""The id, among those of all tenants, of the session that a path names."""


def _refuse_reserved(session_id: str) -> str:
    if is_reserved(session_id):
        raise ValueError(f"these prefixes are reserved: {', '.join(RESERVED)}")
    return session_id


NamedSession = Annotated[
    str,
    Field(
        pattern=SESSION_ID,
        description=f"Continues this session, or opens it. It must not begin with {', '.join(RESERVED)}.",
        json_schema_extra={"not": {"pattern": f"^({'|'.join(RESERVED)})"}},
    ),
    AfterValidator(_refuse_reserved),
]
"""A session id that a caller chooses."""


class ChatContext(Body):
    """The user, the session and the project. Other keys are allowed and ignored."""

    model_config = ConfigDict(extra="allow", str_max_length=10_000)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    session_id: NamedSession | None = None
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class ChatRequest(Body):
    """A message to an agent."""

    agent_id: Annotated[str, Field(min_length=1, max_length=64)]
    message: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")]
    context: ChatContext = ChatContext()
    require_approval: Annotated[bool, Field(description="The answer needs approval.")] = False
    wait: Annotated[bool, Field(description="False: respond 202 as soon as the message is stored.")] = True
    timeout_s: Annotated[float, Field(gt=0, le=MAX_WAIT_S, description="Seconds to wait before responding 202.")] = 60


class ChatUsage(View):
    """Tokens, and cost in US dollars."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: Money


class TurnError(View):
    """The reason for which a turn has no answer."""

    code: str
    message: str


class ChatAnswer(View):
    """The agent's answer. While it is `running`, unknown fields are null.

    While it is `awaiting_approval`, `approval_id` awaits a decision; a `rejected` one has the reason in `error`.
    `tools_unavailable`: the agent has tools, but its model does not support them. `finish_reason` is the reason for the
    end of the answer: one that ended by its length limit or by the provider's filter is incomplete. `signature` is a
    compact JWS, verifiable with the keys of `/agents/signatures`; null while there is no answer.
    """

    session_id: SessionName
    turn: int | None
    agent_id: str
    response: str | None
    status: Literal["completed", "running", "awaiting_approval", "rejected"]
    model: str | None
    usage: ChatUsage | None
    tools_used: list[str]
    tools_unavailable: bool = False
    finish_reason: FinishReason | None = None
    approval_id: str | None = None
    error: TurnError | None = None
    signature: str | None
    workflow_id: str
    duration_ms: int


class ChatTurn(View):
    """One message and its result. `usage` is the total so far, `finish_reason` the reason for the end of its answer.

    `origin_session_id` is the session from which a fork has the turn. `signature` is the answer's compact JWS.
    """

    turn: int
    message_id: str
    message: str | None
    response: str | None
    status: TurnStatus
    agent_id: str
    model: str | None
    usage: ChatUsage | None
    error: TurnError | None
    at: Timestamp
    tools_used: list[str]
    approval_id: str | None
    rating: int | None
    origin_session_id: SessionName | None
    finish_reason: FinishReason | None
    signature: str | None


class SessionOrigin(View):
    """The session from which a fork has its first turns: `turn` is the last of them."""

    session_id: SessionName
    turn: int


class ChatSession(Listing):
    """A session. `status` is `running` while any accepted message is unanswered (`pending` counts them).

    It is `awaiting_approval` while a person has to decide.
    """

    session_id: SessionName
    agent_id: str | None
    workflow_id: str
    status: SessionStatus
    pending: int | None
    opened_at: Timestamp | None
    last_at: Timestamp | None
    forked_from: SessionOrigin | None
    turns: list[ChatTurn]


def to_turn_error(code: str | None, message: str | None) -> TurnError | None:
    """Return the error of a turn that is over without an answer, else None."""
    return TurnError(code=code, message=message or "") if code else None


def to_usage(prompt_tokens: int, completion_tokens: int, cost: Decimal) -> ChatUsage:
    """Return tokens, and cost in US dollars."""
    return ChatUsage(
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        total_tokens=prompt_tokens + completion_tokens,
        cost=cost,
    )


def to_session(
    session_id: str, row: SessionRow | None, pending: int | None, turns: list[TurnWithTexts], page: Page
) -> ChatSession:
    """Return the session from its view; `pending` is the number of messages that only Temporal knows."""
    status = row.status if row else "idle"
    # A session without a turn has an accepted message, also if Temporal cannot be asked for it now; a fork has none.
    is_begun = row is None or row.turns > 0 or row.origin_session_id is not None
    if status == "idle" and (pending or (pending is None and not is_begun)):
        status = "running"
    return ChatSession(
        session_id=session_id,
        agent_id=row.agent_id if row else None,
        workflow_id=workflow_id(session_id),
        status=status,
        pending=pending,
        opened_at=row.opened_at if row else None,
        last_at=row.last_at if row else None,
        forked_from=_session_origin(row),
        turns=[_to_turn(turn) for turn in turns],
        **page.listing_fields(row.turns if row else 0),
    )


def _session_origin(row: SessionRow | None) -> SessionOrigin | None:
    if row is None or row.origin_session_id is None or row.origin_turn is None:
        return None
    return SessionOrigin(session_id=row.origin_session_id, turn=row.origin_turn)


def _to_turn(turn: TurnWithTexts) -> ChatTurn:
    row = turn.row
    is_used = row.status == "completed" or row.steps > 0 or row.prompt_tokens > 0
    return ChatTurn(
        turn=row.turn,
        message_id=row.message_id,
        message=turn.message,
        response=turn.response,
        status=row.status,
        agent_id=row.agent_id,
        model=row.model or None,
        usage=to_usage(row.prompt_tokens, row.completion_tokens, row.cost) if is_used else None,
        error=to_turn_error(row.code, row.error),
        at=row.at,
        tools_used=list(dict.fromkeys(row.tools)),
        approval_id=row.approval_id,
        rating=row.rating,
        origin_session_id=row.origin_session_id,
        signature=row.signature,
        finish_reason=finish_reason(row.status, row.finish),
    )
