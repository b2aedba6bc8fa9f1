"""Messages to and from the swarm workflow.

Fields are added with defaults, never removed: recorded histories hold them.
"""

from dataclasses import dataclass

from activities.swarm.messages import SwarmRunRequest


@dataclass(frozen=True)
class SwarmStart:
    """The input of the workflow: ids only.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` is the first pause between attempts (doubled each
    time, 30 at most); both in seconds.
    """

    asked: SwarmRunRequest
    call_timeout_s: float = 120.0
    pause_s: float = 1.0


@dataclass(frozen=True)
class SwarmCancel:
    """A request to cancel."""

    by: str
    because: str


@dataclass(frozen=True)
class SwarmEnd:
    """The end of a swarm: the result is a text of the swarm, by its hash."""

    status: str
    result_hash: str | None = None
    partial: bool = False
    code: str | None = None
    reason: str | None = None
