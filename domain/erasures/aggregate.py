"""One erasure, and the decisions on it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from domain.erasures.events import ErasureCompleted, ErasureRequested, Kind
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.ids import derived_hex
from domain.tenant_ids import run_id

PREFIX = "erasure_"


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure by its events; `request` is None while it was never requested."""

    request: ErasureRequested | None = None
    completed: ErasureCompleted | None = None

    @property
    def version(self) -> int:
        return (self.request is not None) + (self.completed is not None)

    @property
    def asked(self) -> ErasureRequested:
        """Return the request.

        Raises:
            NotFound: there is none.
        """
        if self.request is None:
            raise NotFound("there is no such erasure")
        return self.request


@dataclass(frozen=True, slots=True)
class ErasureCounts:
    """What was removed."""

    owners: int
    texts: int
    answers: int
    histories: int


def stream(erasure_id: str) -> str:
    return f"erasure:{erasure_id}"


def request_key(erasure_id: str) -> str:
    """Return the idempotency key of the append that requests an erasure."""
    return f"erasure.request:{erasure_id}"


def erasure_id_of(tenant_id: str, key: str | None) -> str:
    """Return the id of the erasure that is requested under a key, or a new one without a key."""
    return run_id("erasure", tenant_id, derived_hex("erasure", key) if key else None)


def evolve(erasure: Erasure, event: Event) -> Erasure:
    match event:
        case ErasureRequested():
            return Erasure(event, erasure.completed)
        case ErasureCompleted():
            return Erasure(erasure.request, event)
        case _:
            return erasure


def load(events: Iterable[Event]) -> Erasure:
    return reduce(evolve, events, Erasure())


def request(erasure_id: str, kind: Kind, subject: str, cause: Cause) -> list[Event]:
    return [ErasureRequested(erasure_id=erasure_id, kind=kind, subject=subject, **cause.fields())]


def complete(erasure: Erasure, counts: ErasureCounts, cause: Cause) -> list[Event]:
    """Complete an erasure; nothing if it is complete.

    Raises:
        NotFound: it was never requested.
    """
    erasure_id = erasure.asked.erasure_id
    if erasure.completed is not None:
        return []
    return [
        ErasureCompleted(
            erasure_id=erasure_id,
            owners=counts.owners,
            texts=counts.texts,
            answers=counts.answers,
            histories=counts.histories,
            **cause.fields(),
        )
    ]
