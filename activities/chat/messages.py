"""What is asked of a model and what comes of it, as workflows see it: by ids only."""

from dataclasses import dataclass, field

from activities.chat.activities import Ancestor, TurnRef
from domain.message_parts import Part

SLOTS_FULL = "ModelSlotsFull"
"""The type of error by which a worker says that it has no place for a call; its detail is the queue to wait in.

Only calls that say `may_move` get it: a workflow of an older worker would take it for the call's failure.
"""


@dataclass(frozen=True)
class StepRef:
    """A step of a turn that did not end it: the reply, and the results that answer its requests in their order.

    Without `asks` the reply was an answer that cannot be used, and the one result says why.
    """

    reply_hash: str
    results: list[str]
    asks: bool = True


@dataclass(frozen=True)
class Thought:
    """What is asked of `think`: a turn, its steps so far, and what its prompt remembers.

    `visit` and `step` count from 1. With `parts` the message is made of these. `shape` is what the answer has to be
    like, with `options` to choose from. `tools` are offered instead of the agent's own; with `is_held` a person has to
    let the answer go. `depth` counts the turns that it was delegated through. `budget_usd` is what its root run may
    cost in all, US dollars as exact text.
    """

    turn: TurnRef
    workflow_id: str
    step: int = 1
    visit: int = 1
    first: int = 1
    summary_hash: str | None = None
    project_id: str | None = None
    steps: list[StepRef] = field(default_factory=list)
    lineage: list[Ancestor] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    shape: str | None = None
    options: list[str] = field(default_factory=list)
    tools: list[str] | None = None
    is_held: bool = False
    depth: int = 0
    budget_usd: str | None = None
    may_move: bool = False


@dataclass(frozen=True)
class ToolCall:
    """A tool the model wants called, request `index` (from 0) of its reply.

    `runs` says who does it (`activity`, `delegate` or `approval`). With `risk` a person has to let it go first, and
    looks at the text `content` (the arguments, or what they say is to be decided) and the JSON `arguments`; an edit of
    them has to follow the JSON Schema `schema`. A call that cannot be made has a `problem`, the text that the model is
    told. All these texts are hashes.
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
class Answer:
    """What came of it: the reply by its hash; tokens; US dollars as exact text; the model's window in tokens.

    With `tool_calls` the model wants these first; with `problem` (a text's hash) its answer cannot be used. `named` are
    the ids that an answer of a shape names. `room` is what the window has left for the next message if its prompt holds
    all that is remembered. `has_no_tools`: the agent has tools, and its model takes none.
    `schema` is the hash of the JSON Schema that a person's edit of a held answer has to follow.
    """

    reply_hash: str
    finish: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: str
    window: int
    tool_calls: list[ToolCall] = field(default_factory=list)
    room: int | None = None
    problem: str | None = None
    named: list[str] = field(default_factory=list)
    has_no_tools: bool = False
    schema: str | None = None


@dataclass(frozen=True)
class ToSummarise:
    """Turns `first` to `upto` are to be carried into the summary."""

    turn: TurnRef
    workflow_id: str
    first: int
    upto: int
    summary_hash: str | None = None
    project_id: str | None = None
    lineage: list[Ancestor] = field(default_factory=list)
    may_move: bool = False


@dataclass(frozen=True)
class Summary:
    """What stands for the turns up to `upto` from now on."""

    upto: int
    summary_hash: str
