"""Ali's answers as responses: the text, and the tool calls that were made for it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import orjson

from api.ali.schemas import QueryAnswer, Reason, Source, SuggestedAction
from api.chat.schemas import to_turn_error, to_usage
from api.chat.service import ChatOutcome
from api.http.dependencies import Positions
from domain.chat.ports import TurnWithTexts
from domain.content import ContentStore
from domain.tools.ports import ToolReads
from domain.tools.projection import ToolCallRow
from workflows.chat.client import workflow_id
from workflows.chat.messages import ChatResult

NO_TOOLS = "Ali's model does not support tools, so none were offered: nothing was read for this answer."
NO_CALLS = "No tool was called: nothing was read for this answer."


@dataclass(frozen=True, slots=True)
class AliAnswer:
    """The state of a question. `text` is the answer as the model returned it."""

    session_id: str
    turn: int | None = None
    status: Literal["completed", "running", "awaiting_approval", "rejected", "failed"] = "running"
    text: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    approval_id: str | None = None
    code: str | None = None
    error: str | None = None
    has_no_tools: bool = False


def from_chat_result(outcome: ChatOutcome, said: ChatResult, text: str | None) -> AliAnswer:
    """Return the answer of a chat result, just received from the workflow."""
    return AliAnswer(
        session_id=outcome.session_id,
        turn=said.turn,
        status=_status(said.status),
        text=text,
        model=said.model,
        prompt_tokens=said.prompt_tokens,
        completion_tokens=said.completion_tokens,
        cost=Decimal(said.cost),
        approval_id=said.approval_id,
        code=said.code,
        error=said.error,
        has_no_tools=said.has_no_tools,
    )


def from_recorded_turn(spoken: TurnWithTexts) -> AliAnswer:
    """Return the answer of a turn from the view."""
    row = spoken.row
    return AliAnswer(
        session_id=row.session_id,
        turn=row.turn,
        status=row.status,
        text=spoken.response,
        model=row.model or None,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cost=row.cost,
        approval_id=row.approval_id,
        code=row.code,
        error=row.error,
    )


class AnswerPresenter:
    """Combines an answer with the tool calls of its turn."""

    def __init__(self, tools: ToolReads, content: ContentStore, positions: Positions) -> None:
        self._tools = tools
        self._content = content
        self._positions = positions

    async def present(self, heard: AliAnswer, *, duration_ms: int) -> tuple[QueryAnswer, bool]:
        """Return the response, and whether it has all tool calls: False while their view is behind."""
        fresh = await self._positions.wait("tools") if heard.turn else True
        calls, texts = await asyncio.to_thread(self._calls, heard) if heard.turn else ([], {})
        answer, actions = _parse_answer(heard.text)
        is_over = heard.status == "completed"
        return QueryAnswer(
            session_id=heard.session_id,
            turn=heard.turn,
            workflow_id=workflow_id(heard.session_id),
            status=heard.status,
            answer=answer,
            sources=_sources(calls),
            reasoning=[_reason(call, texts) for call in calls],
            note=_note(calls, has_no_tools=heard.has_no_tools) if is_over and fresh else None,
            suggested_actions=actions,
            usage=to_usage(heard.prompt_tokens, heard.completion_tokens, heard.cost) if is_over else None,
            model=heard.model,
            approval_id=heard.approval_id,
            error=to_turn_error(heard.code, heard.error),
            duration_ms=duration_ms,
        ), fresh

    def _calls(self, heard: AliAnswer) -> tuple[list[ToolCallRow], Mapping[str, str]]:
        calls = self._tools.of_session(heard.session_id, heard.turn)
        wanted = {call.arguments_hash for call in calls}
        return calls, self._content.get(heard.session_id, wanted) if wanted else {}


def _status(said: str) -> Literal["completed", "awaiting_approval", "rejected", "failed"]:
    match said:
        case "completed" | "awaiting_approval" | "rejected":
            return said
        case _:
            return "failed"


def _parse_answer(text: str | None) -> tuple[str | None, list[SuggestedAction]]:
    """Parse the answer and its actions. Text of another shape, for example edited by an approver, is all answer."""
    if text is None:
        return None, []
    try:
        value = orjson.loads(text)
        return str(value["answer"]), [SuggestedAction.model_validate(action) for action in value["suggested_actions"]]
    except (ValueError, KeyError, TypeError):
        return text, []


def _sources(calls: Sequence[ToolCallRow]) -> list[Source]:
    tools: dict[str, list[str]] = {}
    for call in calls:
        for source in call.sources:
            known = tools.setdefault(source, [])
            if call.name not in known:
                known.append(call.name)
    return [Source(source=source, tools=names) for source, names in tools.items()]


def _reason(call: ToolCallRow, texts: Mapping[str, str]) -> Reason:
    took = call.ended_at - call.started_at if call.ended_at and call.started_at else None
    return Reason(
        step=call.step,
        tool=call.name,
        arguments=_arguments(texts.get(call.arguments_hash)),
        outcome=call.state,
        took_ms=round(took.total_seconds() * 1000) if took is not None else None,
        sources=call.sources,
    )


def _arguments(text: str | None) -> Any:
    """Parse the arguments of a call; text that is not JSON is returned unchanged."""
    try:
        return orjson.loads(text) if text is not None else None
    except orjson.JSONDecodeError:
        return text


def _note(calls: Sequence[ToolCallRow], *, has_no_tools: bool) -> str | None:
    if calls:
        return None
    return NO_TOOLS if has_no_tools else NO_CALLS
