"""What Ali is asked over HTTP, and how the answers look."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.chat.schemas import MAX_MESSAGE, MAX_WAIT_S, ChatUsage, NamedSession, TurnError
from api.http.schemas import Body, Deadline, View
from api.swarm.schemas import SwarmStatus
from domain.ali.team import LEAST_MEMBERS, MOST_MEMBERS, Mode

_MOST_USD = 1_000_000


class QueryContext(Body):
    """Who asks, and what else is known. Other keys are allowed, and told to Ali."""

    model_config = ConfigDict(extra="allow", str_max_length=10_000)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    session_id: NamedSession | None = None
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class Query(Body):
    """A question to Ali."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")]
    context: QueryContext = QueryContext()
    wait: Annotated[bool, Field(description="False: answer 202 as soon as the question is safe.")] = True
    timeout_s: Annotated[float, Field(gt=0, le=MAX_WAIT_S, description="Wait this long, then answer 202.")] = 60


class Source(View):
    """Something that was really read: a projection, a document or an address; and the tools that read it."""

    source: str
    tools: list[str]


class Reason(View):
    """A tool call that was really made. `took_ms` is null where nothing ran; arguments that were erased are null."""

    step: int
    tool: str
    arguments: Any
    outcome: Literal["running", "ok", "error", "refused", "unknown"]
    took_ms: int | None
    sources: list[str]


class SuggestedAction(View):
    """Something that could be done next, and by which agent, if by one."""

    title: str
    why: str
    agent_id: str | None


class QueryAnswer(View):
    """What Ali says. Sources and reasoning are the tool calls of this turn, as they were recorded; `note` if none.

    While it is worked on, `status` is `running` and what is not known yet is null. While it is `awaiting_approval`,
    `approval_id` is to be decided. A `failed` or `rejected` one says why in `error`.
    """

    session_id: str
    turn: int | None
    workflow_id: str
    status: Literal["completed", "running", "awaiting_approval", "rejected", "failed"]
    answer: str | None
    sources: list[Source]
    reasoning: list[Reason]
    note: str | None
    suggested_actions: list[SuggestedAction]
    usage: ChatUsage | None
    model: str | None
    approval_id: str | None
    error: TurnError | None
    duration_ms: int


class TaskContext(Body):
    """What is known about the task. Other keys are allowed, and told to Ali and to the agents."""

    model_config = ConfigDict(extra="allow", str_max_length=10_000)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class AliTask(Body):
    """A task whose agents Ali is to choose."""

    task: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")]
    context: TaskContext = TaskContext()
    max_agents: Annotated[int, Field(ge=LEAST_MEMBERS, le=MOST_MEMBERS, description="The most that may take part.")] = 5
    mode: Annotated[Mode | None, Field(description="How they work together; Ali chooses where it is not said.")] = None
    deadline: Deadline | None = None
    budget_usd: Annotated[
        Decimal | None, Field(gt=0, le=_MOST_USD, description="What the swarm may cost at most, beside the choice.")
    ] = None
    require_approval: Annotated[bool, Field(description="A person has to let the result go.")] = False


class Coordinated(SwarmStatus):
    """The swarm that was started, and why it is this one. `session_id` is where Ali chose."""

    rationale: str
    chosen_by: Literal["model", "rule"]
    session_id: str
