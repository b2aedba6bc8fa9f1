"""The request for a model call, and the normalization of its reply."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from activities.costs.joint_append import NO_JOINT_APPEND, Companion, JointAppend
from activities.turn_ref import TurnRef
from domain.chat import policy
from domain.chat.model_port import Message, ModelFailure, ModelReply, ModelRequest, Refusable, ToolRequest
from domain.chat.steps import encode_tool_reply
from domain.costs.aggregate import CallIntent
from domain.costs.ports import Price
from domain.live.ports import LiveCall


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """A call's model, its provider, and, if the agent names another model first, which that is and why not that one."""

    model: str = ""
    provider: str | None = None
    fallback_from: str | None = None
    fallback_reason: str | None = None


FIRST_PLACE = ModelPlace()


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A model call: its prompts (each shorter than the one before), and the events that are appended with it.

    `answered` gets the reply and its cost; `cleaned` normalizes the text of an answer before it is stored. With `live`
    the answer is streamed while it arrives.
    """

    call_id: str
    ref: TurnRef
    workflow_id: str
    project_id: str | None
    request: ModelRequest
    prompts: Iterator[tuple[Message, ...]]
    begun: Companion
    answered: Callable[[ModelReply, Price], Companion]
    cleaned: Callable[[str], str] = str
    is_first: bool = True
    budget_usd: Decimal | None = None
    enclosing_runs: tuple[str, ...] = ()
    beside: JointAppend = NO_JOINT_APPEND
    place: ModelPlace = FIRST_PLACE
    live: LiveCall | None = None

    def intent(
        self, messages: Sequence[Message], *, price: Callable[[str, int, int], Price], at: datetime, deadline: datetime
    ) -> CallIntent:
        """Return what is reserved for the call with this prompt: its worst case, priced by model and tokens at `at`."""
        request = self.request
        bound = policy.prompt_bound(messages, request.tools, request.reply_schema)
        worst = price(request.model, bound, request.max_tokens)
        return CallIntent(
            call_id=self.call_id,
            kind="chat",
            model=request.model,
            worst_case=worst.cost,
            price_version=worst.price_version,
            prompt_tokens_bound=bound,
            max_tokens=request.max_tokens,
            deadline=deadline,
            agent_id=self.ref.agent_id,
            session_id=self.ref.session_id,
            workflow_id=self.workflow_id,
            key_id=self.ref.key_id,
            project_id=self.project_id,
            root_id=(self.workflow_id, *self.enclosing_runs)[-1] if self.budget_usd is not None else None,
            budget_usd=self.budget_usd,
            priced_at=at,
            enclosing_runs=self.enclosing_runs,
            provider=self.place.provider,
            fallback_from=self.place.fallback_from,
            fallback_reason=self.place.fallback_reason,
        )


def without_part(ask: CallRequest, refused: Refusable) -> CallRequest | None:
    """Return the request without a part that the model refused; None if it does not contain that part."""
    if refused == "tools" and ask.request.tools:
        return replace(ask, request=replace(ask.request, tools=()))
    if refused in ("schema", "schema_with_tools") and ask.request.reply_schema:
        return replace(ask, request=replace(ask.request, reply_schema=None))
    return None


def refused_part(failure: ModelFailure, ask: CallRequest) -> Refusable | None:
    """Return the part that the model does not take. A failure that names none means the tools or the schema."""
    if failure.kind != "unsupported" or failure.refuses is not None:
        return failure.refuses
    if ask.request.tools:
        return "schema_with_tools" if ask.request.reply_schema else "tools"
    return "schema" if ask.request.reply_schema else None


def clean_reply(reply: ModelReply, ask: CallRequest) -> ModelReply:
    """Return the reply with the text as it is stored."""
    if reply.tool_calls:
        calls = [_storable_call(call) for call in reply.tool_calls]
        return replace(reply, text=encode_tool_reply(_storable(reply.text), calls, reply.extra))
    text = ask.cleaned(_storable(reply.text))
    return replace(reply, text=text if text.strip() else "")


def _storable(text: str) -> str:
    """Remove what PostgreSQL's text type cannot hold: U+0000, and unpaired surrogates."""
    text = text.replace("\x00", "")
    return text if text.isascii() else text.encode(errors="replace").decode()


def _storable_call(call: ToolRequest) -> ToolRequest:
    return ToolRequest(_storable(call.id), _storable(call.name), _storable(call.arguments), call.extra)
