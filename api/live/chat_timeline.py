"""The stream of a conversation."""

from collections.abc import Callable, Mapping
from typing import Any

from api.chat.schemas import to_usage
from api.live.timelines import NOTHING
from domain.chat.events import (
    SessionEnded,
    SessionErased,
    SessionOpened,
    TurnAnswered,
    TurnFailed,
    TurnHeld,
    TurnProposed,
    TurnResumed,
    TurnStarted,
    TurnStepped,
)
from domain.chat.finish import finish_reason
from domain.events import Event
from domain.ids import call_id
from domain.live.frames import FrameDraft, LedgerEntry, TextField
from domain.revocations import attempt_intent
from domain.tenant_ids import unqualified
from domain.tools.events import ToolEnded


class ChatTimeline:
    """`Timeline` of a session.

    A session works on one message at a time, and a turn on one model call. So the live frames of a call have one place:
    right before the frames of the event that ends the call.
    """

    def __init__(self, session_id: str) -> None:
        self.owner = session_id
        self.open_tools: list[str] = []
        self.is_idle = True
        self.is_closed = False
        self.has_begun = False
        self.hides_texts = False
        self._workflow_id = ""
        self._agent_id = ""
        self._visits: dict[int, int] = {}
        self._intent = ""
        self._tools_used: list[str] = []
        self._open_call: str | None = None

    def add(self, event: Event) -> LedgerEntry:
        if isinstance(event, SessionOpened):
            self.has_begun, self._workflow_id = True, event.workflow_id
        self.is_closed |= isinstance(event, SessionEnded | SessionErased)
        self.hides_texts |= isinstance(event, SessionErased)
        adding: Callable[[Any], LedgerEntry] | None = self._handlers().get(type(event))
        return adding(event) if adding else NOTHING

    def _handlers(self) -> Mapping[type[Event], Callable[[Any], LedgerEntry]]:
        return {
            TurnStarted: self._start,
            TurnStepped: self._step,
            ToolEnded: self._end_tool,
            TurnProposed: lambda _: self._close(),
            TurnHeld: self._hold,
            TurnResumed: self._resume,
            TurnAnswered: self._answer,
            TurnFailed: self._fail,
        }

    def _start(self, event: TurnStarted) -> LedgerEntry:
        visit = self._visits[event.turn] = self._visits.get(event.turn, 0) + 1
        self._intent, self._agent_id = attempt_intent(event.message_id, visit), event.agent_id
        self._tools_used, self.is_idle, self.has_begun = [], False, True
        data = {
            "session_id": unqualified(event.session_id),
            "agent_id": event.agent_id,
            "turn": event.turn,
            "message_id": event.message_id,
            "status": "running",
            "workflow_id": self._workflow_id,
        }
        return self._close(FrameDraft("session", data, event.at), opens=call_id(self._intent, 1))

    def _step(self, event: TurnStepped) -> LedgerEntry:
        self.open_tools += [tool.tool_call_id for tool in event.tools if tool.is_valid]
        self._tools_used += [tool.name for tool in event.tools if tool.is_valid]
        place = {"turn": event.turn, "step": event.step}
        usage = to_usage(event.prompt_tokens, event.completion_tokens, event.cost).model_dump(mode="json")
        reason = "tool_calls" if event.tools else "correction"
        frames = [FrameDraft("reset", {**place, "reason": reason, "usage": usage}, event.at)]
        frames += [FrameDraft("tool_call", {**place, **tool.model_dump()}, event.at) for tool in event.tools]
        return self._close(*frames, opens=call_id(self._intent, event.step + 1))

    def _end_tool(self, event: ToolEnded) -> LedgerEntry:
        if event.tool_call_id in self.open_tools:
            self.open_tools.remove(event.tool_call_id)
        data = {
            "turn": event.turn,
            "step": event.step,
            "tool_call_id": event.tool_call_id,
            "name": event.name,
            "outcome": event.outcome,
        }
        return LedgerEntry((FrameDraft("tool_result", data, event.at, (TextField("result", event.result_hash),)),))

    def _hold(self, event: TurnHeld) -> LedgerEntry:
        data = {"turn": event.turn, "status": "awaiting_approval", "approval_id": event.approval_id}
        return LedgerEntry((FrameDraft("approval_required", data, event.at),))

    def _resume(self, event: TurnResumed) -> LedgerEntry:
        if event.refused_tool in self._tools_used:
            self._tools_used.remove(event.refused_tool)
        return NOTHING

    def _answer(self, event: TurnAnswered) -> LedgerEntry:
        self.is_idle = True
        usage = to_usage(event.prompt_tokens, event.completion_tokens, event.cost)
        data = {
            "session_id": unqualified(event.session_id),
            "turn": event.turn,
            "agent_id": self._agent_id,
            "status": "completed",
            "model": event.model or None,
            "usage": usage.model_dump(mode="json"),
            "tools_used": list(dict.fromkeys(self._tools_used)),
            "finish_reason": finish_reason("completed", event.finish),
            "approval_id": event.approval_id,
            "signature": event.signature,
            "workflow_id": self._workflow_id,
        }
        return self._close(FrameDraft("final", data, event.at, (TextField("response", event.reply_hash),)))

    def _fail(self, event: TurnFailed) -> LedgerEntry:
        self.is_idle = True
        status = "rejected" if event.code == "REJECTED" else "failed"
        data = {"turn": event.turn, "status": status, "code": event.code, "message": event.message}
        return self._close(FrameDraft("error", data, event.at))

    def _close(self, *frames: FrameDraft, opens: str | None = None) -> LedgerEntry:
        closes, self._open_call = self._open_call, opens
        return LedgerEntry(frames, closes=closes, opens=opens)
