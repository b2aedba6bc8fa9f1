"""Events of an erasure. Its stream is `erasure:<erasure_id>`. No event holds a text or a user's id."""

from typing import Literal

from domain.events import Event

RequestedKind = Literal["session", "user", "talent", "tenant"]
Kind = Literal["session", "user", "talent", "tenant", "expired"]
"""`expired`: what of a tenant is past its retention period."""


class ErasureRequested(Event):
    """An operator, or the retention period of a tenant, requested the erasure of all texts of a subject.

    `subject` is its id among those of all tenants; a user's is a pseudonym (`domain.erasures.users`), that of what is
    past its period a kind and a time (`domain.erasures.ports.Expiry`).
    """

    NAME = "erasure.requested"

    erasure_id: str
    kind: Kind
    subject: str


class ErasureCompleted(Event):
    """Nothing is left. `owners` counts the erased owners of texts, `texts` and `answers` the removed rows.

    `answers` are stored responses to requests, `histories` workflow runs that were deleted from Temporal.
    """

    NAME = "erasure.completed"

    erasure_id: str
    owners: int
    texts: int
    answers: int
    histories: int


EVENTS: tuple[type[Event], ...] = (ErasureRequested, ErasureCompleted)
