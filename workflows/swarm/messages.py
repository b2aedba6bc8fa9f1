"""What is said to the workflow of a swarm, and what it says. Fields are added with defaults, never removed."""

from dataclasses import dataclass

from activities.swarm.activities import Asked


@dataclass(frozen=True)
class SwarmStart:
    """What a swarm is started with: ids only.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` (doubled each time, 30 at most) lies between them;
    both in seconds.
    """

    asked: Asked
    call_timeout_s: float = 120.0
    pause_s: float = 1.0


@dataclass(frozen=True)
class SwarmCancel:
    """Somebody wants it to stop."""

    by: str
    because: str


@dataclass(frozen=True)
class SwarmOver:
    """How it ended: the result is a text of the swarm, by its hash."""

    status: str
    result_hash: str | None = None
    partial: bool = False
    code: str | None = None
    reason: str | None = None
