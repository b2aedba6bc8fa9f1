"""Ports of erasures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol, Self

from domain.erasures.aggregate import ErasureCounts
from domain.erasures.events import Kind
from domain.erasures.projection import ErasureRow, Status

OwnerKind = Literal["session", "run", "schedule", "record"]
"""The kind of an owner of texts: a session, a swarm or execution, a schedule, or anything else."""


@dataclass(frozen=True, slots=True)
class ErasureFilter:
    """The erasures of one tenant; None lets all of them through."""

    tenant_id: str
    kind: Kind | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class ErasurePage:
    """A page of erasures, newest first; `total` counts all that match."""

    erasures: list[ErasureRow]
    total: int


class ErasureReads(Protocol):
    """Erasures, up to the projection's position."""

    def page(self, wanted: ErasureFilter, *, skip: int, limit: int) -> ErasurePage: ...

    def get(self, tenant_id: str, erasure_id: str) -> ErasureRow | None: ...

    def read_running(self, limit: int) -> list[str]:
        """Return the ids of erasures of all tenants that are not completed, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner of texts: its id among those of all tenants."""

    id: str
    kind: OwnerKind


class ExpiringKind(StrEnum):
    """What a retention period can apply to."""

    SESSION = "session"
    SWARM = "swarm"
    EXECUTION = "execution"


@dataclass(frozen=True, slots=True)
class Expiry:
    """What is past its retention period: everything of a kind without activity since `before`."""

    kind: ExpiringKind
    before: datetime

    @classmethod
    def parse(cls, subject: str) -> Self:
        """Return the expiry that the subject of an erasure states."""
        kind, _, before = subject.partition(":")
        return cls(ExpiringKind(kind), datetime.fromisoformat(before))

    @property
    def subject(self) -> str:
        """The subject of the erasure: `session:2026-10-29T13:00:00+00:00`."""
        return f"{self.kind}:{self.before.isoformat()}"


class UserLinks(Protocol):
    """What each user started: sessions and runs, by the user's pseudonym."""

    def link(self, tenant_id: str, user_id: str, owner: str) -> None:
        """Record that a user takes part in a session or started a run.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        ...


class NoUserLinks:
    """The null object of `UserLinks`."""

    def link(self, tenant_id: str, user_id: str, owner: str) -> None:
        """Do nothing."""


class OwnerSearch(Protocol):
    """The owners of texts that belong to a subject, by the views and the content."""

    def has_texts(self, owner: str) -> bool: ...

    def of_session(self, session_id: str) -> list[Owner]:
        """Return the session and all its forks."""
        ...

    def of_user(self, tenant_id: str, pseudonym: str) -> list[Owner]:
        """Return the sessions, with their forks, the runs, and the schedules of a user."""
        ...

    def of_tenant(self, tenant_id: str) -> list[Owner]:
        """Return all owners of texts of a tenant other than `default`, and all its sessions and runs."""
        ...

    def of_expired(self, tenant_id: str, expiry: Expiry, erasure_id: str) -> list[Owner]:
        """Return sessions or runs of a tenant that are past their period, oldest first, 5,000 at most.

        None while this erasure has marked any: later ones belong to the next erasure.
        """
        ...

    def inside(self, run_ids: Sequence[str]) -> list[Owner]:
        """Return the runs that these runs started, at any depth."""
        ...

    def approvals(self, owners: Sequence[str]) -> list[str]:
        """Return the ids of all approvals of these owners."""
        ...


class ErasedOwners(Protocol):
    """Owners whose texts are erased for ever: whatever is stored for them later is dropped at once."""

    def mark(self, erasure_id: str, owners: Iterable[Owner]) -> int:
        """Mark owners as erased, and return the number of those that were not. From now on they get no texts."""
        ...

    def read_marked(self, erasure_id: str) -> list[Owner]:
        """Return the owners that this erasure has marked."""
        ...

    def remove_texts(self, erasure_id: str) -> None:
        """Remove all texts of the marked owners, once no write from before their mark is open."""
        ...

    def remove_answers(self, erasure_id: str, tenant_ids: Sequence[str]) -> None:
        """Remove the responses to requests of these tenants that are stored for repeats."""
        ...

    def remove_links(self, erasure_id: str) -> None:
        """Remove the links of users to marked owners."""
        ...

    def remove_tenant(self, tenant_id: str) -> None:
        """Remove a tenant's secrets, its links of users, and its sessions of browsers."""
        ...

    def remove_telemetry(self, tenant_id: str) -> None:
        """Remove a tenant's telemetry, once no write from before its mark is open."""
        ...

    def count_histories(self, erasure_id: str, owner: str, number: int) -> None:
        """Count workflow runs that were deleted for an owner."""
        ...

    def counts(self, erasure_id: str) -> ErasureCounts:
        """Return what was removed so far."""
        ...
