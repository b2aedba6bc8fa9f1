"""Conversion between a chat message and the turn that answers it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import StepRequest
    from activities.turn_ref import TurnRef
    from workflows.chat.messages import ChatMessage, ChatResult
    from workflows.turn.types import ConversationMemory, TurnResult


def to_turn_ref(say: ChatMessage, session_id: str, turn: int) -> TurnRef:
    """Return the turn that answers a message."""
    return TurnRef(
        session_id=session_id,
        turn=turn,
        message_id=say.message_id,
        message_hash=say.message_hash,
        agent_id=say.agent_id,
        agent_version=say.agent_version,
        key_id=say.key_id,
        because=say.because,
    )


def step_request_of(turn: TurnRef, say: ChatMessage, remembered: ConversationMemory) -> StepRequest:
    """Return the turn that a message asks for."""
    return StepRequest(
        turn=turn,
        visit=say.visit,
        first=remembered.first,
        summary_hash=remembered.summary_hash,
        lineage=remembered.lineage,
        parts=say.parts,
        shape=say.shape,
        options=say.options,
        tools=say.tools,
    )


def to_chat_result(turn: TurnRef, visit: int, taken: TurnResult) -> ChatResult:
    """Return the chat result of a turn."""
    return ChatResult(
        turn=turn.turn,
        status=taken.status,
        reply_hash=taken.reply_hash,
        model=taken.answer.model if taken.answer else None,
        prompt_tokens=taken.prompt_tokens,
        completion_tokens=taken.completion_tokens,
        cost=str(taken.cost),
        code=taken.code,
        error=taken.error,
        visit=visit,
        because=turn.because,
        approval_id=taken.approval_id,
        tools_used=list(taken.tools_used),
        has_no_tools=taken.answer is not None and taken.answer.has_no_tools,
        finish=taken.answer.finish if taken.answer else "stop",
        details=taken.details,
    )
