"""The stream of a swarm: its members' turns as they begin and end, and its result."""

from collections.abc import Callable, Mapping
from typing import Any

from api.chat.schemas import to_usage
from api.live.timelines import NOTHING
from domain.chat.events import TurnAnswered, TurnFailed, TurnHeld, TurnStarted, TurnStepped
from domain.events import Event
from domain.live.frames import FrameDraft, LedgerEntry, TextField
from domain.swarm.events import SwarmEnded, SwarmHeld, SwarmRequested
from domain.swarm.members import seat_of_session
from domain.tools.events import ToolEnded


class SwarmTimeline:
    """`Timeline` of a swarm. Members answer side by side, so the order of frames is that of the ledger alone."""

    def __init__(self, task_id: str) -> None:
        self.owner = task_id
        self.open_tools: list[str] = []
        self.is_idle = False
        self.is_closed = False
        self.has_begun = False
        self.hides_texts = False
        self._agents: dict[str, str] = {}

    def add(self, event: Event) -> LedgerEntry:
        adding: Callable[[Any], LedgerEntry] | None = self._handlers().get(type(event))
        return adding(event) if adding else NOTHING

    def _handlers(self) -> Mapping[type[Event], Callable[[Any], LedgerEntry]]:
        return {
            SwarmRequested: self._request,
            SwarmHeld: self._hold,
            SwarmEnded: self._end,
            TurnStarted: self._start_turn,
            TurnStepped: self._step,
            TurnHeld: self._hold_turn,
            TurnAnswered: self._answer,
            TurnFailed: self._fail,
            ToolEnded: self._end_tool,
        }

    def _request(self, event: SwarmRequested) -> LedgerEntry:
        self.has_begun = True
        data = {
            "task_id": event.task_id,
            "status": "running",
            "coordination_mode": event.mode,
            "coordinator": event.coordinator.agent_id,
            "agents": [member.agent_id for member in event.members],
        }
        return _one(FrameDraft("state", data, event.at))

    def _hold(self, event: SwarmHeld) -> LedgerEntry:
        data = {"status": "awaiting_approval", "approval_id": event.approval_id}
        return _one(FrameDraft("approval_required", data, event.at))

    def _end(self, event: SwarmEnded) -> LedgerEntry:
        self.is_idle = self.is_closed = True
        data = {
            "task_id": event.task_id,
            "status": event.status,
            "partial": event.partial,
            "code": event.code,
            "reason": event.reason,
            "signature": event.signature,
        }
        texts = (TextField("result", event.result_hash),) if event.result_hash else ()
        return _one(FrameDraft("final", data, event.at, texts))

    def _start_turn(self, event: TurnStarted) -> LedgerEntry:
        self._agents[event.session_id] = event.agent_id
        return _one(FrameDraft("turn", {**self._member(event), "status": "running"}, event.at))

    def _step(self, event: TurnStepped) -> LedgerEntry:
        self.open_tools += [tool.tool_call_id for tool in event.tools if tool.is_valid]
        place = {**self._member(event), "step": event.step}
        frames = [FrameDraft("tool_call", {**place, **tool.model_dump()}, event.at) for tool in event.tools]
        return LedgerEntry(tuple(frames))

    def _hold_turn(self, event: TurnHeld) -> LedgerEntry:
        data = {**self._member(event), "status": "awaiting_approval", "approval_id": event.approval_id}
        return _one(FrameDraft("approval_required", data, event.at))

    def _answer(self, event: TurnAnswered) -> LedgerEntry:
        usage = to_usage(event.prompt_tokens, event.completion_tokens, event.cost).model_dump(mode="json")
        data = {**self._member(event), "status": "completed", "usage": usage}
        return _one(FrameDraft("turn", data, event.at, (TextField("response", event.reply_hash),)))

    def _fail(self, event: TurnFailed) -> LedgerEntry:
        data = {**self._member(event), "status": "failed", "code": event.code, "message": event.message}
        return _one(FrameDraft("turn", data, event.at))

    def _end_tool(self, event: ToolEnded) -> LedgerEntry:
        if event.tool_call_id in self.open_tools:
            self.open_tools.remove(event.tool_call_id)
        data = {
            **self._member(event),
            "step": event.step,
            "tool_call_id": event.tool_call_id,
            "name": event.name,
            "outcome": event.outcome,
        }
        return _one(FrameDraft("tool_result", data, event.at, (TextField("result", event.result_hash),)))

    def _member(self, event: Any) -> dict[str, Any]:
        """Return the member's fields. A session that a member opened by delegation belongs to the member's seat."""
        place = seat_of_session(event.session_id)
        agent = getattr(event, "agent_id", None) or self._agents.get(event.session_id)
        return {"seat": place[1] if place else None, "agent_id": agent, "turn": event.turn}


def _one(frame: FrameDraft) -> LedgerEntry:
    return LedgerEntry((frame,))
