"""Ports of clients: reading them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.clients.profile import ClientProfile, Status


@dataclass(frozen=True, slots=True)
class ClientView:
    """A client with its texts; `profile` is None if they were erased."""

    id: int
    status: str
    created_at: datetime
    updated_at: datetime
    version: int
    profile: ClientProfile | None


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """The clients of one tenant; None lets all of them through. Every one of `terms` occurs in the client's texts."""

    tenant_id: str
    status: Status | None = None
    terms: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ClientPage:
    """A page of clients in the order of their ids; `total` counts all that match the filter."""

    clients: list[ClientView]
    total: int


class ClientReads(Protocol):
    """The clients that are not deleted, as far as the projection has come."""

    def page(self, wanted: ClientFilter, *, skip: int, limit: int) -> ClientPage: ...

    def all(self, wanted: ClientFilter) -> Iterator[ClientView]:
        """Yield all clients that match, in the order of their ids, in portions that are read one after another."""
        ...
