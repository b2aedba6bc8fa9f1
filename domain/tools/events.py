"""Events of a tool call. Its stream is `tool:<tool_call_id>`."""

from typing import Literal

from domain.events import Event

Effect = Literal["read", "write"]
Outcome = Literal["ok", "error", "refused", "unknown"]


class ToolCallEvent(Event):
    """The fields of every event of a call; not an event itself.

    `step` is the model call whose reply requested it; `arguments_hash` is the JSON that the tool receives.
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
    """The tool is about to be called. `attempt` identifies the attempt; a write has no second one."""

    NAME = "tool.started"

    effect: Effect
    attempt: str


class ToolEnded(ToolCallEvent):
    """The end of the call, and the result that the model receives (`result_hash`).

    `sources` names the data read for it.

    `refused`: a person rejected it. `unknown`: it may have had its effect, or not.
    """

    NAME = "tool.ended"

    outcome: Outcome
    result_hash: str
    sources: tuple[str, ...] = ()


ToolEvent = ToolStarted | ToolEnded
EVENTS = (ToolStarted, ToolEnded)
