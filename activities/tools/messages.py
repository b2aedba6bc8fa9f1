"""Inputs and results of the activities that call tools."""

from dataclasses import dataclass, field

from activities.turn_ref import TurnRef


@dataclass(frozen=True)
class ToolRun:
    """A tool call that a model requested: number `index` (from 0) of the reply `reply_hash` of a turn's step.

    `arguments_hash` names arguments (JSON) that replace the model's: those that a person approved.
    """

    turn: TurnRef
    workflow_id: str
    tool_call_id: str
    name: str
    step: int
    reply_hash: str
    index: int
    project_id: str | None = None
    arguments_hash: str | None = None


@dataclass(frozen=True)
class CloseToolRequest:
    """The end of a call that the workflow itself carried out, or that was not approved.

    `outcome` is `ok`, `error` or `refused`; the result is `result_hash`, a text that is there, or else `text` followed
    by the texts `added` (hashes).
    """

    run: ToolRun
    outcome: str
    text: str = ""
    result_hash: str | None = None
    added: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ToolCallResult:
    """The end of a call (`ok`, `error`, `refused` or `unknown`), and the result that the model receives."""

    outcome: str
    result_hash: str
