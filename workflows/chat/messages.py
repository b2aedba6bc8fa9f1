"""Messages to and from the chat workflow.

Fields are added with defaults, never removed: recorded histories hold them.
"""

from dataclasses import dataclass, field

from domain.chat import policy
from domain.message_parts import MessagePart

MOVED = "Moved"
"""Error type of an update that the next run, which has started by then, will answer."""


@dataclass(frozen=True)
class ChatMessage:
    """A chat message by its ids. `again` is the turn whose failed answer is retried, `visit` the number of the attempt.

    With `parts` the message is composed of these; `shape` (with the `options` to choose from) is the required answer
    shape; `tools` are offered instead of the agent's own; `hold` is the risk of an answer that needs approval.
    `refusal` is the error of a delivered message that is not answered: its turn fails with it.
    """

    message_id: str
    message_hash: str
    agent_id: str
    agent_version: int
    key_id: str
    because: str
    visit: int = 1
    again: int | None = None
    parts: list[MessagePart] = field(default_factory=list)
    shape: str | None = None
    options: list[str] = field(default_factory=list)
    tools: list[str] | None = None
    hold: str | None = None
    refusal: str | None = None


@dataclass(frozen=True)
class ChatStart:
    """The input of the workflow: ids only.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` is the first pause between attempts (doubled each
    time, 30 at most); both in seconds. After `turns_per_run` turns the workflow continues as new and passes on what is
    `queued`.
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
    queued: list[ChatMessage] = field(default_factory=list)


@dataclass(frozen=True)
class ChatResult:
    """The result of a message's attempt number `visit`; `code` and `error` explain a missing answer.

    `status` is `completed`, `failed`, `rejected`, or `awaiting_approval` while `approval_id` is undecided. `finish` is
    the model's finish reason. Tokens and cost are those of the whole turn. `has_no_tools`: the agent has tools, but its
    model does not support them. `because` is the id of the request that caused it; empty when it was known before this
    run. `details` name the limit on cost that was reached.
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
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ChatStatus:
    """The state of the workflow: messages accepted and not answered yet, and the newest turn."""

    pending: int
    turn: int
    ended: bool
    key_id: str
