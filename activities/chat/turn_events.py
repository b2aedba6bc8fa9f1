"""The events of a turn: its start, and what a model's reply makes of it."""

from collections.abc import Sequence
from decimal import Decimal

from activities.chat.reply import ParsedReply, parse_reply
from activities.chat.step_context import StepContext
from activities.chat.turn_signature import TurnSigner
from activities.turn_ref import TurnRef
from domain.chat import turns
from domain.chat.events import RequestedTool, TurnAnswered, TurnProposed, TurnStarted, TurnStepped
from domain.chat.model_port import ModelReply
from domain.content import content_hash
from domain.events import Cause, Event


def turn_started_event(ref: TurnRef, *, model: str, cause: Cause) -> TurnStarted:
    """Build the event that starts a turn."""
    return TurnStarted(
        session_id=ref.session_id,
        turn=ref.turn,
        message_id=ref.message_id,
        message_hash=ref.message_hash,
        agent_id=ref.agent_id,
        agent_version=ref.agent_version,
        model=model,
        **cause.fields(),
    )


def reply_events(
    asking: StepContext, reply: ModelReply, known: Sequence[Event], cost: Decimal, cause: Cause, *, signer: TurnSigner
) -> list[Event]:
    """Decide the reply's event of the turn: a step, a signed answer, or one that is held; none for an empty reply."""
    if not reply.text:
        return []
    usage, thought = reply.usage, asking.thought
    fields = {
        "session_id": thought.turn.session_id,
        "turn": thought.turn.turn,
        "message_id": thought.turn.message_id,
        "reply_hash": content_hash(reply.text),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cost": cost,
        **cause.fields(),
    }
    turn, model = turns.load_turn(known), reply.model or asking.model
    meant = parse_reply(reply.text, reply.finish, asking.wanted, asking.call_id)
    if not meant.is_answer:
        return turns.step(turn, TurnStepped(step=thought.step, tools=_requested_tools(meant), **fields))
    if thought.is_held:
        return turns.propose(turn, TurnProposed(finish=reply.finish, model=model, **fields))
    answered = turns.answer(turn, TurnAnswered(finish=reply.finish, model=model, **fields))
    return signer.sign(turn, answered, session_id=thought.turn.session_id, lineage=thought.lineage)


def _requested_tools(meant: ParsedReply) -> tuple[RequestedTool, ...]:
    return tuple(
        RequestedTool(tool_call_id=asked.tool_call_id, name=asked.request.name[:80], is_valid=asked.problem is None)
        for asked in meant.asks
    )
