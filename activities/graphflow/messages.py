"""Messages of the execution activities, by ids only. Fields are added with defaults."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from activities.approvals.messages import ApprovalDecision, ApprovalRequest
from activities.chat.messages import StepResult
from activities.swarm.messages import SwarmRunRequest
from activities.tools.messages import ToolRun
from activities.turn_ref import TurnRef
from domain.graphflow.execution.events import RunStarted


@dataclass(frozen=True)
class RunRequest:
    """The request for a run: input and context are texts (JSON) of the execution, by their hashes.

    `root_id` is the run that clients know: this one, if empty. `depth` counts the enclosing runs. `budget_usd` is exact
    text.
    """

    execution_id: str
    workflow_id: str
    version: int
    key_id: str
    because: str
    input_hash: str
    context_hash: str | None = None
    project_id: str | None = None
    budget_usd: str | None = None
    root_id: str = ""
    parent_id: str | None = None
    depth: int = 0

    @property
    def root(self) -> str:
        return self.root_id or self.execution_id


def request_of(began: RunStarted, *, depth: int = 0) -> RunRequest:
    """Return the request that a started run was made by."""
    return RunRequest(
        execution_id=began.execution_id,
        workflow_id=began.workflow_id,
        version=began.version,
        key_id=began.key_id,
        because=began.because,
        input_hash=began.input_hash,
        context_hash=began.context_hash,
        project_id=began.project_id,
        budget_usd=str(began.budget_usd) if began.budget_usd is not None else None,
        root_id=began.root_id,
        parent_id=began.parent_id,
        depth=depth,
    )


@dataclass(frozen=True)
class RunControlRequest:
    """A request about a run: `verb` is `pause`, `resume` or `reopen`."""

    verb: str
    by: str
    because: str


@dataclass(frozen=True)
class RunStart:
    """The packed graph, and the state that the run continues from: `state` of its schedule when it was reopened.

    `attempts` counts the earlier attempts of the nodes that run again; `completed` are nodes with their iterations.
    `code` and `reason` say why the run cannot start; its end is recorded then. `kept` nodes have their outputs already:
    only their conditions are evaluated again.
    """

    plan: str
    model_queue: str
    attempts: dict[str, int] = field(default_factory=dict)
    completed: list[tuple[str, int]] = field(default_factory=list)
    state: dict[str, Any] | None = None
    code: str | None = None
    reason: str | None = None
    kept: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class NodeAttempt:
    """An attempt at a node, at an item of a map (from 0), or at the compensation of a node.

    `skipped` are nodes that may not have been recorded as skipped yet. `now` is the workflow's time. `seen` is the
    least version of the run's stream that has to be read.
    """

    asked: RunRequest
    node: str
    visit: int
    attempt: int
    item: int | None = None
    undo: bool = False
    skipped: list[str] = field(default_factory=list)
    now: datetime | None = None
    seen: int = 0
    may_move: bool = False


@dataclass(frozen=True)
class AttemptStart:
    """The input of a node's work, by node type. `is_done`: an item that has ended already.

    `turn`, with `shape`, `tools` and `hold`, is an agent's; `tool` is called within `timeout_s`, with a `risk` after an
    approval, whose edit follows the schema at `schema_hash`; `items` counts a map's list, which is recorded at version
    `seen`, and which `goes_on` when an item fails; `until` is the end of a wait. `undo` are runs to compensate, in this
    order.
    """

    type: str
    is_done: bool = False
    turn: TurnRef | None = None
    shape: str | None = None
    tools: list[str] | None = None
    hold: str | None = None
    tool: ToolRun | None = None
    timeout_s: float = 30.0
    risk: str | None = None
    schema_hash: str | None = None
    approval: ApprovalRequest | None = None
    until: datetime | None = None
    event: str | None = None
    items: int = 0
    goes_on: bool = False
    seen: int = 0
    run: RunRequest | None = None
    swarm: SwarmRunRequest | None = None
    undo: list[RunRequest] | None = None


@dataclass(frozen=True)
class NodeHold:
    """An attempt that waits for an approval."""

    spot: NodeAttempt
    approval_id: str


@dataclass(frozen=True)
class EndNodeRequest:
    """The end of an attempt: `completed`, `failed` or `rejected`. With `again` a failure may be retried.

    `made` names the kind of result: `answer` of an agent, `result` of a tool, `decision`, `waited` (the event's
    payload), `swarm` or `run` (a text of `owner`), each by its `hash`; the `items` of a map, `count` of them; or
    `kept`, the node's earlier output.
    """

    spot: NodeAttempt
    status: str
    made: str = ""
    hash: str | None = None
    owner: str | None = None
    decided: ApprovalDecision | None = None
    timed_out: bool = False
    count: int = 0
    code: str | None = None
    error: str | None = None
    again: bool = False


@dataclass(frozen=True)
class AttemptEnd:
    """The recorded end of an attempt, and the indices of the edges taken. `final`: there is no other attempt."""

    status: str
    taken: list[int] = field(default_factory=list)
    code: str | None = None
    error: str | None = None
    final: bool = False


@dataclass(frozen=True)
class AgentNodeResult:
    """The result of an agent's single step: its end; or, without `ended`, the `answer` to continue from as `begun`."""

    ended: AttemptEnd | None = None
    begun: AttemptStart | None = None
    answer: StepResult | None = None


@dataclass(frozen=True)
class CompensationResult:
    """The result of compensating a node."""

    spot: NodeAttempt
    status: str
    error: str | None = None


@dataclass(frozen=True)
class EndRunRequest:
    """The end of a run to record: `state` is that of its schedule, `ends` the end nodes that were reached."""

    asked: RunRequest
    status: str
    ends: list[str] = field(default_factory=list)
    node: str | None = None
    code: str | None = None
    reason: str | None = None
    skipped: list[str] = field(default_factory=list)
    state: dict[str, Any] | None = None


@dataclass(frozen=True)
class RunEnd:
    """The recorded end of a run: the output is a text (JSON) of the execution, by its hash."""

    status: str
    output_hash: str | None = None
    node: str | None = None
    code: str | None = None
    reason: str | None = None
