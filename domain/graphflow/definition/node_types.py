"""The work of nodes, by node type. Template texts may contain `{{ expression }}`; values too, at any depth."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

Risk = Literal["low", "medium", "high", "critical"]

LONGEST_EXPRESSION = 2_000
LONGEST_TEMPLATE = 20_000
LONGEST_PAUSE_S = 3600
LONGEST_WAIT_S = 365 * 24 * 3600
MOST_ITEMS = 1_000
MOST_PARALLEL = 50

AgentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Expression = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_EXPRESSION, strip_whitespace=True)]
Template = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEMPLATE)]
Schema = dict[str, Any]
Values = Annotated[dict[str, JsonValue], Field(max_length=100)]
"""Values to pass on. A text that consists of one `{{ expression }}` is replaced by its value, whatever its type."""


class FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AgentWork(FrozenModel):
    """An agent answers `prompt`, a template. With `output`, a JSON Schema of type object, the answer is JSON.

    `tools` restricts the agent's tools; `approval` is the risk level at which the answer needs an approval.
    """

    type: Literal["agent"]
    agent: AgentName
    prompt: Template
    tools: Annotated[tuple[ToolName, ...], Field(max_length=50)] | None = None
    output: Schema | None = None
    approval: Risk | None = None


class SwarmWork(FrozenModel):
    """Several agents work on `task`, a template. The output is the text of their result."""

    type: Literal["swarm"]
    agents: Annotated[tuple[AgentName, ...], Field(min_length=1, max_length=20)]
    mode: Word
    task: Template
    coordinator: AgentName | None = None
    rounds: Annotated[int, Field(ge=1, le=5)] | None = None


class ToolWork(FrozenModel):
    """A tool call. The output is its result."""

    type: Literal["tool"]
    tool: ToolName
    arguments: Values = {}


class ApprovalWork(FrozenModel):
    """A person decides on `content`, a template.

    The output is {approved, status, content, comment}. If it is not approved and no edge of the node has a condition,
    the run ends as rejected.
    """

    type: Literal["approval"]
    title: Annotated[Template, Field(max_length=500)]
    content: Template
    risk: Risk = "medium"


class TransformWork(FrozenModel):
    """Expressions build an object; no model is called."""

    type: Literal["transform"]
    set: Annotated[dict[Word, Expression], Field(min_length=1, max_length=100)]


class WorkflowWork(FrozenModel):
    """Another workflow runs with `input`; without `version` the newest one. The output is that workflow's."""

    type: Literal["workflow"]
    workflow: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    version: Annotated[int, Field(ge=1)] | None = None
    input: Values = {}


class WaitWork(FrozenModel):
    """A wait of `seconds`, or `until` a time (a template for RFC 3339 text), or for an `event`.

    The output is {timed_out, payload}. An event that has not come after `timeout_s` is no failure: `timed_out` is true.
    """

    type: Literal["wait"]
    seconds: Annotated[float, Field(gt=0, le=LONGEST_WAIT_S)] | None = None
    until: Annotated[Template, Field(max_length=500)] | None = None
    event: Word | None = None
    timeout_s: Annotated[float, Field(gt=0, le=LONGEST_WAIT_S)] | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if [self.seconds, self.until, self.event].count(None) != len(("seconds", "until", "event")) - 1:
            raise ValueError("a wait has exactly one of seconds, until and event")
        if self.timeout_s is not None and self.event is None:
            raise ValueError("timeout_s of a wait goes with an event")
        return self


class Retry(FrozenModel):
    """The number of attempts in all, and the pause before the second one.

    Each further pause is `backoff` times longer, up to an hour.
    """

    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    pause_s: Annotated[float, Field(ge=0, le=LONGEST_PAUSE_S)] = 1
    backoff: Annotated[float, Field(ge=1, le=10)] = 2


Inner = Annotated[AgentWork | ToolWork | TransformWork | WorkflowWork, Field(discriminator="type")]


class MapWork(FrozenModel):
    """`node` runs for each item of the list that `over` returns, `parallel` of them at a time.

    The item is read as `item`, or by the name that `item` gives it. The output is the list of the outputs in the order
    of the items; with `on_item_error: continue` the output of a failed item is null.
    """

    type: Literal["map"]
    over: Expression
    node: Inner
    item: Word = "item"
    parallel: Annotated[int, Field(ge=1, le=MOST_PARALLEL)] = 5
    max_items: Annotated[int, Field(ge=1, le=MOST_ITEMS)] = 100
    on_item_error: Literal["fail", "continue"] = "fail"
