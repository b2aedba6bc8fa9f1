"""What can happen to a tool call. Its stream is `tool:<tool_call_id>`."""

from typing import Literal

from domain.events import Event

Effect = Literal["read", "write"]
Outcome = Literal["ok", "error", "refused", "unknown"]


class ToolCallEvent(Event):
    """What every event of a call says: which one it is, and who asked for it where. Not an event by itself.

    `step` is the model call whose reply asked for it; `arguments_hash` is the JSON that the tool is given.
    """

    tool_call_id: str
    session_id: str
    turn: int
    step: int
    name: str
    agent_id: str
    workflow_id: str
    arguments_hash: str
    project_id: str | None = None


class ToolStarted(ToolCallEvent):
    """The tool is about to be called. `attempt` names the try that does it; a write has no second one."""

    NAME = "tool.started"

    effect: Effect
    attempt: str


class ToolEnded(ToolCallEvent):
    """What came of it, and what the model is told (`result_hash`). `sources` names what was read for it.

    `refused`: a person said no. `unknown`: it may have had its effect, or not.
    """

    NAME = "tool.ended"

    outcome: Outcome
    result_hash: str
    sources: tuple[str, ...] = ()


ToolEvent = ToolStarted | ToolEnded
EVENTS = (ToolStarted, ToolEnded)
