"""Ports of talents: reading them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.talents.profile import Status, TalentProfile


@dataclass(frozen=True, slots=True)
class TalentView:
    """A talent with its texts; `profile` is None if they were erased."""

    id: int
    status: str
    created_at: datetime
    updated_at: datetime
    version: int
    profile: TalentProfile | None


@dataclass(frozen=True, slots=True)
class TalentFilter:
    """The talents of one tenant; None lets all of them through.

    `department` and `skill` are whole; every one of the words `terms` occurs in name, biography or skills. Case and
    Unicode form do not matter.
    """

    tenant_id: str
    department: str | None = None
    skill: str | None = None
    status: Status | None = None
    terms: Sequence[str] = ()

    @property
    def is_by_state_only(self) -> bool:
        """Return True if no text has to be read to tell who matches."""
        return not (self.department or self.skill or self.terms)


@dataclass(frozen=True, slots=True)
class TalentPage:
    """A page of talents in the order of their ids; `total` counts all that match the filter."""

    talents: list[TalentView]
    total: int


class TalentReads(Protocol):
    """The talents that are not deleted, as far as the projection has come."""

    def page(self, wanted: TalentFilter, *, skip: int, limit: int) -> TalentPage: ...

    def all(self, wanted: TalentFilter) -> Iterator[TalentView]:
        """Yield all talents that match, in the order of their ids, in portions that are read one after another."""
        ...

    def candidates(self, wanted: TalentFilter, skills: Sequence[str], terms: Sequence[str]) -> list[TalentView]:
        """Return those that match the filter and have one of the skills, or contain one of the terms."""
        ...
