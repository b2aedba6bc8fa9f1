"""Ports of tenants."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Status = Literal["active", "deleted"]


@dataclass(frozen=True, slots=True)
class ListedTenant:
    """A tenant as it is shown. `name` is None once it is erased."""

    id: str
    name: str | None
    status: Status
    created_at: datetime
    deleted_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class TenantPage:
    """A page of tenants in the order of their ids; `total` counts all that match."""

    tenants: list[ListedTenant]
    total: int


class TenantReads(Protocol):
    """The tenants, as far as the projection has come, and `default`."""

    def page(self, status: Status | None, *, skip: int, limit: int) -> TenantPage: ...

    def get(self, tenant_id: str) -> ListedTenant:
        """Return one tenant.

        Raises:
            domain.errors.NotFound: there is none of this id.
        """
        ...
