"""What can happen to a run of a workflow. Its stream is `run:<execution_id>`; its texts belong to the execution."""

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.events import Event

EndStatus = Literal["completed", "rejected", "failed", "cancelled"]
NodeEnd = Literal["completed", "rejected", "failed"]


class PlannedNode(BaseModel):
    """A node of the version that the run keeps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    type: str


class PinnedAgent(BaseModel):
    """The version of an agent that the run keeps; `name` is how the definition calls it.

    `hold` is the risk at which a person has to let its answers go; None where nobody has to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    agent_id: str
    version: int
    hold: Literal["low", "medium", "high", "critical"] | None = None


class PinnedWorkflow(BaseModel):
    """The version of another workflow that stood as the newest when the run began."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow_id: str
    version: int


class RunStarted(Event):
    """A key had a version of a workflow run. Money is US dollars.

    `root_id` is the run that people know, `parent_id` the one that this is a node of.
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
    """What every event of a node says. Not an event by itself. `visit` and `attempt` count from 1.

    `skipped` are nodes that were found to be skipped since the events before.
    """

    execution_id: str
    node: str
    visit: int
    attempt: int
    skipped: tuple[str, ...] = ()


class NodeBegun(NodeEvent):
    """An attempt at a node has begun. `until` (RFC 3339) is when a wait ends, `items_hash` a map's list."""

    NAME = "graphflow.node_begun"

    child_id: str | None = None
    items: int | None = None
    items_hash: str | None = None
    until: str | None = None


class NodeHeld(NodeEvent):
    """A person has to decide before it goes on."""

    NAME = "graphflow.node_held"

    approval_id: str


class AttemptFailed(NodeEvent):
    """An attempt has failed, and there will be another one."""

    NAME = "graphflow.attempt_failed"

    code: str
    error: str


class NodeEnded(NodeEvent):
    """A node has ended for good. The output is JSON, or with `as_text` the text itself. `taken` are edges, by index.

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
    """What a completed node did was undone, or could not be."""

    NAME = "graphflow.node_compensated"

    execution_id: str
    node: str
    visit: int
    status: Literal["completed", "failed"]
    error: str | None = None


class RunPaused(Event):
    """Nothing new begins until it is resumed."""

    NAME = "graphflow.run_paused"

    execution_id: str


class RunResumed(Event):
    """It goes on."""

    NAME = "graphflow.run_resumed"

    execution_id: str


class RunReopened(Event):
    """A run that had ended goes on with what had failed or not finished: `nodes`."""

    NAME = "graphflow.run_reopened"

    execution_id: str
    nodes: tuple[str, ...]


class RunEnded(Event):
    """It is over. `node`, `code` and `reason`: why it did not complete. `state` is where its schedule stood."""

    NAME = "graphflow.run_ended"

    execution_id: str
    status: EndStatus
    output_hash: str | None = None
    node: str | None = None
    code: str | None = None
    reason: str | None = None
    skipped: tuple[str, ...] = ()
    state: dict[str, Any] | None = None


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
