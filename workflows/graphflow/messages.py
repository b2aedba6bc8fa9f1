"""Messages to the graph workflows, and the state they carry along when they continue as new.

Fields are added with defaults, never removed: recorded histories hold them.
"""

from dataclasses import dataclass, field

from activities.graphflow.messages import NodeAttempt, RunControlRequest, RunRequest
from domain.graphflow.execution.schedule_state import NodeIteration, ScheduleState


@dataclass(frozen=True)
class ExecutionEvent:
    """An event for an execution: `payload_hash` is a text (JSON) of it. Each wait takes one event of its name."""

    event_id: str
    name: str
    payload_hash: str | None = None


@dataclass(frozen=True)
class CarriedState:
    """The state that an execution carries along when it continues as new.

    `attempts` are the failed attempts of running nodes, `kept` the nodes whose output is kept, and `late` the seconds
    by which waits end later because of pauses.
    """

    state: ScheduleState
    completed: list[NodeIteration] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    heard: list[ExecutionEvent] = field(default_factory=list)
    known_events: list[str] = field(default_factory=list)
    paused: bool = False
    kept: list[str] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphStart:
    """The input of an execution's workflow: ids only. With `reopen` an ended execution resumes where it stopped.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` is the first pause between attempts (doubled each
    time, 30 at most); both in seconds. The workflow continues as new after `events_per_run` history events. With `undo`
    a completed execution is undone, because the execution that it is a node of has failed.
    """

    asked: RunRequest
    call_timeout_s: float = 120.0
    pause_s: float = 1.0
    reopen: RunControlRequest | None = None
    carried: CarriedState | None = None
    events_per_run: int = 1_000
    undo: bool = False


@dataclass(frozen=True)
class ItemsStart:
    """The input of a part of a map: `count` items from `first` on, `parallel` at a time; `agents` answer them."""

    spot: NodeAttempt
    first: int
    count: int
    parallel: int
    goes_on: bool
    model_queue: str
    call_timeout_s: float = 120.0
    pause_s: float = 1.0
    agents: bool = False


@dataclass(frozen=True)
class ItemsEnd:
    """The result of a part of a map: the first failure that counts, if any."""

    code: str | None = None
    error: str | None = None
