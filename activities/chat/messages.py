"""Inputs and results of the chat's activities, as workflows see them: by ids only."""

from dataclasses import dataclass, field

from activities.turn_ref import TurnRef
from domain.chat.events import FailureCode
from domain.message_parts import MessagePart

SLOTS_FULL = "ModelSlotsFull"
"""The error type of a call without a free slot. The error's details are the queue to wait in, and the tenant's weight.

Only calls with `may_move` get it: a workflow of an older release would take it for the call's failure.
"""


@dataclass(frozen=True)
class OpenSessionRequest:
    """The request to open a session."""

    session_id: str
    agent_id: str
    key_id: str
    workflow_id: str
    because: str
    user_id: str | None = None
    project_id: str | None = None


@dataclass(frozen=True)
class KnownTurn:
    """An earlier turn, with the fields that answer a repeat of its message."""

    turn: int
    message_id: str
    completed: bool
    visits: int = 1
    running: bool = False
    reply_hash: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: str = "0"
    code: str | None = None
    error: str | None = None
    finish: str = "stop"


@dataclass(frozen=True)
class Ancestor:
    """The turns up to `upto` that a fork inherits from another session."""

    session_id: str
    upto: int


@dataclass(frozen=True)
class SessionHead:
    """The current state of a session in the ledger. Prompts contain the turns from `first` on, and the summary.

    `lineage` names the sessions that hold the first turns of a fork.
    """

    agent_id: str
    key_id: str
    ended: bool
    turn: int
    first: int
    summary_hash: str | None
    recent: list[KnownTurn]
    model_queue: str
    project_id: str | None = None
    lineage: list[Ancestor] = field(default_factory=list)


@dataclass(frozen=True)
class TurnFailure:
    """A turn that failed, and why. `visit` is the attempt that failed, from 1."""

    turn: TurnRef
    code: FailureCode
    message: str
    visit: int = 1


@dataclass(frozen=True)
class EndSessionRequest:
    """The request to end a session."""

    session_id: str
    key_id: str
    because: str


@dataclass(frozen=True)
class StepRef:
    """A step of a turn that did not end it: the reply, and the results that answer its tool requests in order.

    Without `asks` the reply was an unusable answer, and the one result says why.
    """

    reply_hash: str
    results: list[str]
    asks: bool = True


@dataclass(frozen=True)
class StepRequest:
    """The input of `think`: a turn, its steps so far, and the range of turns that its prompt contains.

    `visit` and `step` count from 1. With `parts` the message is composed of these. `shape` names the answer shape, with
    `options` to choose from. `tools` replace the agent's own; with `is_held` the answer needs an approval. `depth`
    counts the delegations above this turn. `budget_usd` is the limit of the root run, US dollars as exact text.
    `enclosing_runs` are the runs that the run `workflow_id` is a part of, but for itself.
    """

    turn: TurnRef
    workflow_id: str = ""
    step: int = 1
    visit: int = 1
    first: int = 1
    summary_hash: str | None = None
    project_id: str | None = None
    steps: list[StepRef] = field(default_factory=list)
    lineage: list[Ancestor] = field(default_factory=list)
    parts: list[MessagePart] = field(default_factory=list)
    shape: str | None = None
    options: list[str] = field(default_factory=list)
    tools: list[str] | None = None
    is_held: bool = False
    depth: int = 0
    budget_usd: str | None = None
    may_move: bool = False
    enclosing_runs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RequestedToolCall:
    """A tool call that the model requested, number `index` (from 0) of its reply.

    `runs` says what carries it out (`activity`, `delegate` or `approval`). With `risk` it needs an approval first, of
    the text `content` (the arguments, or the one that says what to decide) and the JSON `arguments`; an edit has to
    follow the JSON Schema `schema`. A call that cannot be made has a `problem`, the text that the model receives. All
    these texts are hashes.
    """

    id: str
    name: str
    index: int = 0
    runs: str = "activity"
    timeout_s: float = 30.0
    risk: str | None = None
    problem: str | None = None
    content: str | None = None
    arguments: str | None = None
    schema: str | None = None


@dataclass(frozen=True)
class StepResult:
    """The result of a step: the reply by its hash; tokens; US dollars as exact text; the model's window in tokens.

    With `tool_calls` the model requests these first; with `problem` (a text's hash) its answer is unusable. `named` are
    the ids that a shaped answer names. `room` is the number of tokens that the window has left for the next message if
    its prompt contains all remembered turns. `has_no_tools`: the agent has tools, and its model takes none. `schema` is
    the hash of the JSON Schema that a person's edit of a held answer has to follow.
    """

    reply_hash: str
    finish: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: str
    window: int
    tool_calls: list[RequestedToolCall] = field(default_factory=list)
    room: int | None = None
    problem: str | None = None
    named: list[str] = field(default_factory=list)
    has_no_tools: bool = False
    schema: str | None = None


@dataclass(frozen=True)
class SummaryRequest:
    """The request to add the turns `first` to `upto` to the summary."""

    turn: TurnRef
    workflow_id: str
    first: int
    upto: int
    summary_hash: str | None = None
    project_id: str | None = None
    lineage: list[Ancestor] = field(default_factory=list)
    may_move: bool = False
    enclosing_runs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Summary:
    """The summary that replaces the turns up to `upto` in prompts."""

    upto: int
    summary_hash: str
