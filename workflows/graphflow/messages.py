"""What is said to the workflows of a run, and what they carry along. Fields are added with defaults, never removed."""

from dataclasses import dataclass, field

from activities.graphflow.messages import Request, RunAsked, Spot
from domain.graphflow.execution.scheduler import State, Visit


@dataclass(frozen=True)
class Heard:
    """An event for a run: `payload_hash` is a text (JSON) of the execution. Each wait takes one event of its name."""

    event_id: str
    name: str
    payload_hash: str | None = None


@dataclass(frozen=True)
class Carried:
    """Where a run stood when it continued as new. `attempts` are those that running nodes have had and that failed.

    `kept` are nodes that have put out something already; `late` is by how many seconds waits end later.
    """

    state: State
    completed: list[Visit] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    known_events: list[str] = field(default_factory=list)
    paused: bool = False
    kept: list[str] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphStart:
    """What a run is started with: ids only. With `reopen` it goes on where a run that is over had stopped.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` (doubled each time, 30 at most) lies between them.
    A run with more than `events_per_run` events in its history continues as a new one. With `undo` what a run that has
    completed did is undone, because the run that it is a node of has failed.
    """

    asked: RunAsked
    call_timeout_s: float = 120.0
    pause_s: float = 1.0
    reopen: Request | None = None
    carried: Carried | None = None
    events_per_run: int = 1_000
    undo: bool = False


@dataclass(frozen=True)
class ItemsStart:
    """Items `first` and on, `count` of them, of a map's list, `parallel` at a time; `agents` are to answer them."""

    spot: Spot
    first: int
    count: int
    parallel: int
    goes_on: bool
    model_queue: str
    call_timeout_s: float = 120.0
    pause_s: float = 1.0
    agents: bool = False


@dataclass(frozen=True)
class ItemsOver:
    """What became of them: the first failure, if there was one that counts."""

    code: str | None = None
    error: str | None = None
