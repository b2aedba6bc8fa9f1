"""Tool calls to test with: what a model asked for, stored as a turn's step stores it."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from activities.tools.messages import ToolRun
from activities.turn_ref import TurnRef
from domain.chat.model_port import ToolRequest
from domain.chat.steps import encode_tool_reply
from domain.content import Content, ContentStore
from domain.ids import root_of
from domain.tools.ports import ToolContext, ToolResult
from domain.tools.spec import ToolSpec

CONTEXT = ToolContext("call_1", "ada", "key_1", "session_1", "chat-session_1", "project_1")
ANYTHING: Mapping[str, Any] = {"type": "object"}


def spec(name: str = "look", **fields: Any) -> ToolSpec:
    return ToolSpec(**{"name": name, "description": "A tool.", "parameters": ANYTHING, **fields})


def asked_for(content: ContentStore, name: str, arguments: str, session_id: str | None = None) -> ToolRun:
    """A model's reply that asks for one tool, stored, and the call of it."""
    session_id = session_id or f"session_{uuid4().hex}"
    reply = content.put(
        Content(root_of(session_id), encode_tool_reply("", [ToolRequest("provider_1", name, arguments)]))
    )
    turn = TurnRef(session_id, 3, f"{session_id}-3", "message", "ada", 1, "key_1", "req_1")
    return ToolRun(turn, f"chat-{root_of(session_id)}", f"call_{uuid4().hex}", name, 2, reply, 0, "project_1")


class Scripted:
    """A tool that does as it is told, and counts how often."""

    def __init__(self, tool_spec: ToolSpec, *outcomes: ToolResult | BaseException | object) -> None:
        self.spec = tool_spec
        self.outcomes = list(outcomes)
        self.calls: list[tuple[dict[str, Any], ToolContext]] = []

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        self.calls.append((dict(arguments), context))
        outcome = self.outcomes.pop(0) if self.outcomes else ToolResult("Done.", ("a source",))
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, ToolResult):
            return outcome
        result: ToolResult = await outcome()  # type: ignore[operator]
        return result
