"""One swarm: requested, possibly held, ended once."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from domain.errors import NotFound
from domain.events import Event
from domain.swarm.events import EndStatus, SwarmEnded, SwarmHeld, SwarmRequested


def stream(task_id: str) -> str:
    return f"swarm:{task_id}"


def request_key(task_id: str) -> str:
    """Return the idempotency key of a swarm's request, whoever records it first."""
    return f"swarm:{task_id}"


@dataclass(frozen=True, slots=True)
class Swarm:
    """The state of a swarm: `ended` is the status of its end, once there is one."""

    version: int = 0
    approval_id: str | None = None
    ended: EndStatus | None = None


def evolve(swarm: Swarm, event: Event) -> Swarm:
    version = swarm.version + 1
    match event:
        case SwarmHeld():
            return replace(swarm, version=version, approval_id=event.approval_id)
        case SwarmEnded():
            return replace(swarm, version=version, ended=event.status)
        case _:
            return replace(swarm, version=version)


def load(events: Iterable[Event]) -> Swarm:
    return reduce(evolve, events, Swarm())


def request(swarm: Swarm, requested: SwarmRequested) -> list[Event]:
    """Request the swarm, unless it is requested already."""
    return [] if swarm.version else [requested]


def hold(swarm: Swarm, held: SwarmHeld) -> list[Event]:
    """Wait for an approval, once for each.

    Raises:
        NotFound: it was not requested.
    """
    _refuse_unknown(swarm)
    return [] if swarm.ended or swarm.approval_id == held.approval_id else [held]


def end(swarm: Swarm, ended: SwarmEnded) -> list[Event]:
    """End the swarm, once: the first end counts.

    Raises:
        NotFound: it was not requested.
    """
    _refuse_unknown(swarm)
    return [] if swarm.ended else [ended]


def _refuse_unknown(swarm: Swarm) -> None:
    if swarm.version == 0:
        raise NotFound("there is no such swarm")
