"""What a model call is for, and what is kept of its reply."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from activities.chat.activities import TurnRef
from activities.costs.joint_append import ALONE, Beside, Companion
from domain.chat.ports import Message, ModelFailure, ModelReply, Refusable, ReplySchema, ToolOffer, ToolRequest
from domain.chat.steps import stored


@dataclass(frozen=True, slots=True)
class Ask:
    """What a call is for, its prompts (each shorter than the one before), and what else is recorded with its books.

    `cleaned` is what is kept of an answer's text.
    """

    call_id: str
    ref: TurnRef
    workflow_id: str
    project_id: str | None
    model: str
    max_tokens: int
    temperature: float | None
    prompts: Iterator[tuple[Message, ...]]
    begun: Companion
    answered: Callable[[ModelReply], Companion]
    tools: tuple[ToolOffer, ...] = ()
    reply_schema: ReplySchema | None = None
    cleaned: Callable[[str], str] = str
    is_first: bool = True
    budget_usd: Decimal | None = None
    beside: Beside = ALONE
    calls_no_tools: bool = False


def without(ask: Ask, refused: Refusable) -> Ask | None:
    """The same without what a model refused; None if it was not asked for."""
    if refused == "tools" and ask.tools:
        return replace(ask, tools=())
    if refused in ("schema", "schema_with_tools") and ask.reply_schema:
        return replace(ask, reply_schema=None)
    return None


def refused_part(failure: ModelFailure, ask: Ask) -> Refusable | None:
    """What the model does not take. Where the failure names nothing, it is what was asked for beside the messages."""
    if failure.kind != "unsupported" or failure.refuses is not None:
        return failure.refuses
    if ask.tools:
        return "schema_with_tools" if ask.reply_schema else "tools"
    return "schema" if ask.reply_schema else None


def cleaned(reply: ModelReply, ask: Ask) -> ModelReply:
    """The reply with the text that is kept of it."""
    if reply.tool_calls:
        calls = [_storable_call(call) for call in reply.tool_calls]
        return replace(reply, text=stored(_storable(reply.text), calls, reply.extra))
    text = ask.cleaned(_storable(reply.text))
    return replace(reply, text=text if text.strip() else "")


def _storable(text: str) -> str:
    """Without what the database's text cannot hold: U+0000, and halves of surrogate pairs."""
    text = text.replace("\x00", "")
    return text if text.isascii() else text.encode(errors="replace").decode()


def _storable_call(call: ToolRequest) -> ToolRequest:
    return ToolRequest(_storable(call.id), _storable(call.name), _storable(call.arguments), call.extra)
