"""What tools are asked to do, by ids only."""

from dataclasses import dataclass

from activities.chat import TurnRef


@dataclass(frozen=True)
class ToolRun:
    """A call that a model asked for: number `index` (from 0) of the reply `reply_hash` of a turn's step.

    `arguments_hash` names other arguments (JSON) than the model's: those that a person let go.
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
class ToolClosing:
    """The end of a call that the workflow itself has done, or that was not let go.

    `outcome` is `ok`, `error` or `refused`; the result is `result_hash`, a text that is there, or else `text`.
    """

    run: ToolRun
    outcome: str
    text: str = ""
    result_hash: str | None = None


@dataclass(frozen=True)
class ToolDone:
    """How a call ended (`ok`, `error`, `refused` or `unknown`), and what the model is told."""

    outcome: str
    result_hash: str
