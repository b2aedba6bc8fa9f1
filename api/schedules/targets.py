"""What a schedule starts: the bodies of the API's own requests, without what makes no sense at every time."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter, model_validator

from api.chat.schemas import MAX_MESSAGE, ChatContext
from api.http.schemas import MAX_INT, MAX_TEXT, Body, Money
from domain.errors import Invalid, NotFound
from domain.runbooks.catalogue import find_runbook
from domain.swarm.task import MOST_MEMBERS, MOST_ROUNDS, ROUNDS, Mode

_MAX_USD = 1_000_000
_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Budget = Annotated[
    Money | None, Field(ge=Decimal("0.000001"), le=_MAX_USD, description="Maximum cost of each run in US dollars.")
]


class TargetContext(Body):
    """The context of the work. Other keys are allowed, and passed on."""

    model_config = ConfigDict(extra="allow", str_max_length=MAX_TEXT)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class ChatTarget(Body):
    """A message to an agent: in the session that the context names, or in a new one each time."""

    kind: Literal["chat"]
    agent_id: _Name
    message: Annotated[str, Field(min_length=1, max_length=MAX_MESSAGE, pattern=r"\S")]
    context: ChatContext = ChatContext()
    require_approval: bool = False


class SwarmTarget(Body):
    """A task for several agents."""

    kind: Literal["swarm"]
    task: Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]
    agents: Annotated[list[_Name], Field(min_length=1, max_length=MOST_MEMBERS)]
    coordination_mode: Mode = "collaborative"
    coordinator: _Name | None = None
    context: TargetContext = TargetContext()
    rounds: Annotated[int, Field(ge=1, le=MOST_ROUNDS)] = ROUNDS
    budget_usd: _Budget = None
    require_approval: bool = False


class WorkflowTarget(Body):
    """An execution of a workflow, in its newest version at the time unless one is named."""

    kind: Literal["workflow"]
    workflow_id: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
    input: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    context: TargetContext = TargetContext()
    version: Annotated[int | None, Field(ge=1, le=MAX_INT)] = None
    budget_usd: _Budget = None


class RunbookTarget(Body):
    """A run of a runbook, which only operators (`admin`) may schedule. One that needs an approval waits for it."""

    kind: Literal["runbook"]
    runbook_id: Annotated[str, Field(max_length=64, pattern=r"^[a-z-]+$")]
    parameters: Annotated[dict[str, JsonValue], Field(default_factory=dict, max_length=20)]
    dry_run: bool = False

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        try:
            find_runbook(self.runbook_id).validate(self.parameters)
        except (NotFound, Invalid) as refusal:
            raise ValueError(refusal.message) from None
        return self


AnyTarget = ChatTarget | SwarmTarget | WorkflowTarget | RunbookTarget
Target = Annotated[AnyTarget, Field(discriminator="kind")]
TARGETS: TypeAdapter[AnyTarget] = TypeAdapter(Target)


def target_id_of(target: AnyTarget) -> str | None:
    """Return the agent, workflow or runbook that the target names, if it is one."""
    match target:
        case ChatTarget():
            return target.agent_id
        case WorkflowTarget():
            return target.workflow_id
        case RunbookTarget():
            return target.runbook_id
        case _:
            return None
