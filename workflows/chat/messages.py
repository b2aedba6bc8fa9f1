"""What is said to the workflow of a chat, and what it says. Fields are added with defaults, never removed."""

from dataclasses import dataclass, field

from domain.chat import policy
from domain.message_parts import Part

MOVED = "Moved"
"""The type of error by which a run says that the next one, which has begun by then, answers the message."""


@dataclass(frozen=True)
class Say:
    """A message, by its ids. `again` names the turn whose failed answer is to be tried once more, `visit` how often.

    With `parts` the message is made of these; `shape` (with the `options` to choose from) is what the answer has to be
    like; `tools` are offered instead of the agent's own; `hold` is the risk at which a person has to let the answer go.
    `refusal` is why a message that nobody waited with is not answered: its turn fails with this sentence.
    """

    message_id: str
    message_hash: str
    agent_id: str
    agent_version: int
    key_id: str
    because: str
    visit: int = 1
    again: int | None = None
    parts: list[Part] = field(default_factory=list)
    shape: str | None = None
    options: list[str] = field(default_factory=list)
    tools: list[str] | None = None
    hold: str | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class ChatStart:
    """What a run is started with: ids only.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` (doubled each time, 30 at most) lies between them;
    both in seconds. After `turns_per_run` turns the run continues as new, and the next one answers what is `queued`.
    """

    session_id: str
    agent_id: str
    key_id: str
    because: str
    user_id: str | None = None
    project_id: str | None = None
    call_timeout_s: float = 120.0
    pause_s: float = 1.0
    turns_per_run: int = policy.TURNS_PER_RUN
    queued: list[Say] = field(default_factory=list)


@dataclass(frozen=True)
class Said:
    """What became of a message at its `visit`-th try; `code` and `error` say why there is no answer.

    `status` is `completed`, `failed`, `rejected`, or `awaiting_approval` while a person has to decide `approval_id`.
    `finish` is why the answer ended.
    Tokens and cost are the whole turn's. `has_no_tools`: the agent has tools, and its model takes none.
    `because` is the request that made it so; empty when it was known from before this run.
    """

    turn: int
    status: str
    reply_hash: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: str = "0"
    code: str | None = None
    error: str | None = None
    visit: int = 1
    because: str = ""
    approval_id: str | None = None
    tools_used: list[str] = field(default_factory=list)
    has_no_tools: bool = False
    finish: str = "stop"


@dataclass(frozen=True)
class ChatStatus:
    """What is going on: messages accepted and not yet answered, and the newest turn."""

    pending: int
    turn: int
    ended: bool
    key_id: str
