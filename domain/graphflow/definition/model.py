"""The definition of a workflow: nodes, edges, input and output. It is data, with a published JSON Schema."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from domain.graphflow.definition.node_types import (
    AgentWork,
    ApprovalWork,
    Expression,
    FrozenModel,
    MapWork,
    Retry,
    Schema,
    SwarmWork,
    Template,
    ToolWork,
    TransformWork,
    WaitWork,
    WorkflowWork,
)

MOST_NODES = 500
MOST_EDGES = 2_000
MOST_VISITS = 1_000
LONGEST_TIMEOUT_S = 7 * 24 * 3600

NodeId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Compensation = Annotated[AgentWork | ToolWork, Field(discriminator="type")]


class GoTo(FrozenModel):
    goto: NodeId


class NodeFields(FrozenModel):
    """The fields of every node.

    `join`: it starts when `all` incoming edges are settled and one was taken, at `any` first taken one, or at the
    `n`-th. `max_visits` limits its iterations in all; unless set, one, or in a cycle as many as the cycle's entry has.
    `timeout_s` limits one attempt. `on_error` says what follows the last attempt. `compensate` is carried out when the
    run fails or is cancelled after this node has completed, the latest node first.
    """

    id: NodeId
    title: Annotated[str, StringConstraints(max_length=200, strip_whitespace=True)] | None = None
    join: Literal["all", "any"] | Annotated[int, Field(ge=1, le=MOST_EDGES)] = "all"
    max_visits: Annotated[int, Field(ge=1, le=MOST_VISITS)] | None = None
    retry: Retry | None = None
    timeout_s: Annotated[float, Field(gt=0, le=LONGEST_TIMEOUT_S)] | None = None
    on_error: Literal["fail", "continue"] | GoTo = "fail"
    compensate: Compensation | None = None


class AgentNode(NodeFields, AgentWork):
    pass


class SwarmNode(NodeFields, SwarmWork):
    pass


class ToolNode(NodeFields, ToolWork):
    pass


class ApprovalNode(ApprovalWork, NodeFields):
    title: Annotated[Template, Field(max_length=500)]


class TransformNode(NodeFields, TransformWork):
    pass


class MapNode(NodeFields, MapWork):
    pass


class WaitNode(WaitWork, NodeFields):
    timeout_s: Annotated[float, Field(gt=0)] | None = None


class WorkflowNode(NodeFields, WorkflowWork):
    pass


Node = Annotated[
    AgentNode | SwarmNode | ToolNode | ApprovalNode | TransformNode | MapNode | WaitNode | WorkflowNode,
    Field(discriminator="type"),
]


class Edge(FrozenModel):
    """An edge from one node to another: taken always, `when` an expression is true, or `otherwise`.

    `otherwise` is taken when no other edge of the node is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: NodeId = Field(alias="from")
    target: NodeId = Field(alias="to")
    when: Expression | None = None
    otherwise: bool = False

    @property
    def name(self) -> str:
        return f"edge {self.source} -> {self.target}"


def default_input() -> dict[str, Any]:
    """Return the input schema of a workflow that declares none."""
    return {"type": "object", "properties": {"request": {"type": "string"}}, "required": ["request"]}


class Definition(FrozenModel):
    """A workflow. `input` is a JSON Schema of type object.

    `output` is a template, or an object of templates; without it a run gives the outputs of the ends it has reached.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]
    description: Annotated[str, StringConstraints(max_length=4_000, strip_whitespace=True)] = ""
    input: Schema = Field(default_factory=default_input)
    nodes: Annotated[tuple[Node, ...], Field(min_length=1, max_length=MOST_NODES)]
    edges: Annotated[tuple[Edge, ...], Field(max_length=MOST_EDGES)] = ()
    output: Template | Annotated[dict[str, JsonValue], Field(min_length=1, max_length=100)] | None = None

    def node(self, node_id: str) -> Node:
        """Return the node of this id.

        Raises:
            KeyError: there is none.
        """
        return self.by_id()[node_id]

    def by_id(self) -> Mapping[str, Node]:
        return {node.id: node for node in self.nodes}


def definition_schema() -> dict[str, Any]:
    """Return the published JSON Schema of a definition."""
    return Definition.model_json_schema(by_alias=True)
