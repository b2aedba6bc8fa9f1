"""The frames that a client sends on a socket with an agent."""

from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from api.chat.schemas import MAX_MESSAGE, ChatContext, NamedSession
from api.chat.service import Utterance
from api.http.caller import Caller
from api.http.schemas import Body
from domain.errors import Invalid

_MAX_ERRORS = 20


class MessageFrame(Body):
    """A message to the agent. Its `idempotency_key` makes a repeat join the same turn, as the header does in REST."""

    type: Literal["message"]
    message: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")]
    session_id: NamedSession | None = None
    context: ChatContext = ChatContext()
    require_approval: bool = False
    idempotency_key: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] | None = None

    @property
    def wanted_session(self) -> str | None:
        return self.session_id or self.context.session_id


def parse_message(frame: dict[str, Any]) -> MessageFrame:
    """Return a client's message.

    Raises:
        Invalid: it is something else, or not valid.
    """
    try:
        return MessageFrame.model_validate(frame)
    except ValidationError as error:
        found = [
            {"field": ".".join(str(part) for part in fault["loc"])[:200], "reason": fault["msg"][:500]}
            for fault in error.errors(include_url=False, include_input=False, include_context=False)[:_MAX_ERRORS]
        ]
        first = found[0]
        raise Invalid(f"{first['field']}: {first['reason']}", errors=found, **first) from None


def to_utterance(said: MessageFrame, *, agent_id: str, session_id: str, caller: Caller, request_id: str) -> Utterance:
    """Return the message of a caller to an agent in a session, which is named as its tenant does."""
    context, key = said.context, said.idempotency_key
    parts = (caller.tenant_id, caller.id, "socket", session_id, key or "")
    return Utterance(
        agent_id=agent_id,
        message=said.message,
        key_id=caller.id,
        tenant_id=caller.tenant_id,
        request_id=request_id,
        key=sha256("\x1f".join(parts).encode()).hexdigest() if key else None,
        session_id=session_id,
        user_id=context.user_id,
        project_id=str(context.project_id) if context.project_id is not None else None,
        require_approval=said.require_approval,
    )
