"""What the check of API keys needs of the outside, and the reads of keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from domain.errors import Unauthenticated
from domain.tenant_ids import DEFAULT

KEY_REQUIRED = "an API key is required: Authorization: Bearer cvg_… or X-API-Key"
GrantableScope = Literal["read", "write", "approve", "admin"]
"""What a key that is created can be allowed to do. `admin` is the operator's: it can name any tenant."""
Scope = Literal["read", "write", "approve", "admin", "metrics"]
Status = Literal["active", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is known of a key but the key itself: its id, the tenant that it acts in, and its scopes."""

    id: str
    scopes: frozenset[Scope]
    tenant_id: str = DEFAULT


class KeyStore(Protocol):
    """The keys that are in force."""

    async def find(self, key: str) -> StoredKey | None:
        """The key of this text; None when there is none, or it is expired or revoked, or its tenant is deleted.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...

    async def find_by_id(self, key_id: str) -> StoredKey | None:
        """The key of this id, for what was made with it before; None as above.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...


class TokenVerifier(Protocol):
    """The identity providers whose tokens are accepted."""

    async def verify(self, token: str) -> StoredKey:
        """Return what the bearer of a token is and may do; the id follows from issuer and subject.

        Raises:
            domain.errors.Unauthenticated: the token is not valid now, or of no provider that is configured.
            domain.errors.Forbidden: it is valid, but names no tenant of this platform's.
            domain.errors.Unavailable: nobody can say whether it is valid.
        """
        ...


class NoTokens:
    """The null object of `TokenVerifier`: without identity providers only keys are accepted."""

    async def verify(self, token: str) -> StoredKey:  # noqa: ARG002  (no token is accepted)
        raise Unauthenticated(KEY_REQUIRED)


class TenantStates(Protocol):
    """The tenants, as far as keys need them."""

    def is_active(self, tenant_id: str) -> bool:
        """Return true if the tenant exists and is not deleted, by the ledger and not by a view.

        Raises:
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """The keys of one tenant; None lets all of them through."""

    tenant_id: str
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as it is shown. `name` is None once it is erased; `last_used_at` is exact to a minute."""

    id: str
    tenant_id: str
    name: str | None
    scopes: list[str]
    status: Status
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    rotated_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class KeyPage:
    """A page of keys, newest first; `total` counts all that match the filter."""

    keys: list[ListedKey]
    total: int


class KeyReads(Protocol):
    """The keys, as far as the projection has come."""

    def page(self, wanted: KeyFilter, *, skip: int, limit: int) -> KeyPage: ...

    def get(self, tenant_id: str, key_id: str) -> ListedKey:
        """Return a key of the tenant.

        Raises:
            domain.errors.NotFound: there is none of this id.
        """
        ...
