"""The rows of sessions and turns."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from domain.chat.turns import TurnStatus

SessionStatus = Literal["running", "awaiting_approval", "idle", "ended"]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session: `status` is `running` or `awaiting_approval` while a turn is, else `idle` or `ended`.

    A fork has its first `origin_turn` turns from `origin_session_id`.
    """

    TABLE: ClassVar[str] = "chat_sessions"
    KEY: ClassVar[tuple[str, ...]] = ("session_id",)

    session_id: str
    tenant_id: str
    agent_id: str
    key_id: str
    workflow_id: str
    user_id: str | None
    project_id: str | None
    status: SessionStatus
    turns: int
    opened_at: datetime
    last_at: datetime
    ended_at: datetime | None
    origin_session_id: str | None
    origin_turn: int | None


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A turn; `visits` counts its starts.

    `steps` are model calls that did not end it, `tools` the names of the tools called in them, one a call.
    `approval_id` is the approval that it waits or last waited for. A row with `origin_session_id` is a copy that a fork
    inherits from that session: it happened once only, so counts have to leave copies out. Nested sessions have no
    session row. `signature` is the answer's.
    """

    TABLE: ClassVar[str] = "chat_turns"
    KEY: ClassVar[tuple[str, ...]] = ("session_id", "turn")

    session_id: str
    turn: int
    tenant_id: str
    message_id: str
    message_hash: str
    reply_hash: str | None
    agent_id: str
    agent_version: int
    status: TurnStatus
    visits: int
    model: str
    finish: str | None
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    code: str | None
    error: str | None
    at: datetime
    ended_at: datetime | None
    approval_id: str | None
    rating: int | None
    tools: list[str]
    steps: int
    origin_session_id: str | None
    signature: str | None = None
