"""Events of a workflow's run. Its stream is `run:<execution_id>`; its texts belong to the execution."""

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.events import Event

EndStatus = Literal["completed", "rejected", "failed", "cancelled"]
NodeEnd = Literal["completed", "rejected", "failed"]


class PlannedNode(BaseModel):
    """A node of the version that the run pins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    type: str


class PinnedAgent(BaseModel):
    """The version of an agent that the run pins; `name` is its name in the definition.

    `hold` is the risk level at which its answers need an approval; None if they need none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    agent_id: str
    version: int
    hold: Literal["low", "medium", "high", "critical"] | None = None


class PinnedWorkflow(BaseModel):
    """The version of another workflow that was the newest when the run started."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow_id: str
    version: int


class RunStarted(Event):
    """A key started a run of a workflow's version. Money is US dollars.

    `root_id` is the run that clients know, `parent_id` the run that this one is a node of.
    """

    NAME = "graphflow.run_started"

    execution_id: str
    workflow_id: str
    version: int
    name: str
    key_id: str
    input_hash: str
    root_id: str
    nodes: tuple[PlannedNode, ...]
    agents: tuple[PinnedAgent, ...] = ()
    workflows: tuple[PinnedWorkflow, ...] = ()
    context_hash: str | None = None
    project_id: str | None = None
    parent_id: str | None = None
    budget_usd: Decimal | None = None


class NodeEvent(Event):
    """The fields of every node event; not an event itself. `visit` (iteration) and `attempt` count from 1.

    `skipped` are nodes that were skipped since the events before.
    """

    execution_id: str
    node: str
    visit: int
    attempt: int
    skipped: tuple[str, ...] = ()


class NodeBegun(NodeEvent):
    """An attempt at a node has started. `until` (RFC 3339) is the end of a wait, `items_hash` a map's list."""

    NAME = "graphflow.node_begun"

    child_id: str | None = None
    items: int | None = None
    items_hash: str | None = None
    until: str | None = None


class NodeHeld(NodeEvent):
    """The node waits for an approval."""

    NAME = "graphflow.node_held"

    approval_id: str


class AttemptFailed(NodeEvent):
    """An attempt has failed, and another one follows."""

    NAME = "graphflow.attempt_failed"

    code: str
    error: str


class NodeEnded(NodeEvent):
    """A node has ended. The output is JSON, or with `as_text` plain text. `taken` are edges, by index.

    `code` and `error` say why it did not complete.
    """

    NAME = "graphflow.node_ended"

    status: NodeEnd
    output_hash: str | None = None
    as_text: bool = False
    taken: tuple[int, ...] = ()
    code: str | None = None
    error: str | None = None


class ItemEnded(Event):
    """One item of a map has ended; `item` counts from 0. Its stream is `item:<execution_id>:<node>:<visit>:<item>`."""

    NAME = "graphflow.item_ended"

    execution_id: str
    node: str
    visit: int
    item: int
    attempt: int
    status: NodeEnd
    output_hash: str | None = None
    as_text: bool = False
    code: str | None = None
    error: str | None = None


class NodeCompensated(Event):
    """A completed node was compensated, or its compensation failed."""

    NAME = "graphflow.node_compensated"

    execution_id: str
    node: str
    visit: int
    status: Literal["completed", "failed"]
    error: str | None = None


class RunPaused(Event):
    """No new node starts until the run is resumed."""

    NAME = "graphflow.run_paused"

    execution_id: str


class RunResumed(Event):
    """The run is resumed."""

    NAME = "graphflow.run_resumed"

    execution_id: str


class RunReopened(Event):
    """An ended run is reopened with its failed or unfinished `nodes`."""

    NAME = "graphflow.run_reopened"

    execution_id: str
    nodes: tuple[str, ...]


class RunEnded(Event):
    """The run has ended. `node`, `code` and `reason`: why it did not complete. `state` is its schedule's.

    `signature` is a compact JWS.
    """

    NAME = "graphflow.run_ended"

    execution_id: str
    status: EndStatus
    output_hash: str | None = None
    node: str | None = None
    code: str | None = None
    reason: str | None = None
    skipped: tuple[str, ...] = ()
    state: dict[str, Any] | None = None
    signature: str | None = None


RUN_EVENTS: tuple[type[Event], ...] = (
    RunStarted,
    NodeBegun,
    NodeHeld,
    AttemptFailed,
    NodeEnded,
    ItemEnded,
    NodeCompensated,
    RunPaused,
    RunResumed,
    RunReopened,
    RunEnded,
)
