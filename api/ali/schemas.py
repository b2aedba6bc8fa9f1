"""Request and response models of Ali."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.chat.schemas import MAX_MESSAGE, MAX_WAIT_S, ChatUsage, NamedSession, TurnError
from api.http.schemas import Body, Deadline, SessionName, View
from api.swarm.schemas import SwarmStatus
from domain.ali.team import LEAST_MEMBERS, MOST_MEMBERS, Mode

_MAX_USD = 1_000_000


class QueryContext(Body):
    """The user, the session and the project. Other keys are allowed, and passed on to Ali."""

    model_config = ConfigDict(extra="allow", str_max_length=10_000)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    session_id: NamedSession | None = None
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class Query(Body):
    """A question to Ali."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")]
    context: QueryContext = QueryContext()
    wait: Annotated[bool, Field(description="False: respond 202 as soon as the question is stored.")] = True
    timeout_s: Annotated[float, Field(gt=0, le=MAX_WAIT_S, description="Seconds to wait before responding 202.")] = 60


class Source(View):
    """A source that was read: a projection, a document or an address; and the tools that read it."""

    source: str
    tools: list[str]


class Reason(View):
    """A tool call that was made. `took_ms` is null if nothing was executed; erased arguments are null."""

    step: int
    tool: str
    arguments: Any
    outcome: Literal["running", "ok", "error", "refused", "unknown"]
    took_ms: int | None
    sources: list[str]


class SuggestedAction(View):
    """A suggested next action, and the agent for it, if any."""

    title: str
    why: str
    agent_id: str | None


class QueryAnswer(View):
    """Ali's answer. Sources and reasoning are the recorded tool calls of this turn; `note` explains if there are none.

    While it is `running`, unknown fields are null. While it is `awaiting_approval`, `approval_id` awaits a decision. A
    `failed` or `rejected` one has the reason in `error`.
    """

    session_id: SessionName
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
    """The context of the task. Other keys are allowed, and passed on to Ali and the agents."""

    model_config = ConfigDict(extra="allow", str_max_length=10_000)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class AliTask(Body):
    """A task for which Ali chooses the agents."""

    task: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")]
    context: TaskContext = TaskContext()
    max_agents: Annotated[int, Field(ge=LEAST_MEMBERS, le=MOST_MEMBERS, description="Maximum number of members.")] = 5
    mode: Annotated[Mode | None, Field(description="The coordination mode; chosen by Ali by default.")] = None
    deadline: Deadline | None = None
    budget_usd: Annotated[
        Decimal | None, Field(gt=0, le=_MAX_USD, description="Maximum cost of the swarm, without that of the choice.")
    ] = None
    require_approval: Annotated[bool, Field(description="The result needs approval.")] = False


class CoordinationStatus(SwarmStatus):
    """The swarm that was started, and the reason for its team. `session_id` is the chat in which Ali chose it."""

    rationale: str
    chosen_by: Literal["model", "rule"]
    session_id: SessionName
