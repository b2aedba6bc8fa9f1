"""What the check of API keys needs of the outside, and the reads of keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from domain.errors import Invalid, Unauthenticated, Unavailable
from domain.tenant_ids import DEFAULT

KEY_REQUIRED = "an API key is required: Authorization: Bearer cvg_… or X-API-Key"
NO_LOGIN = "issuer: no such identity provider is configured for logins"
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

    async def find_by_hash(self, key_id: str, key_hash: bytes) -> StoredKey | None:
        """The key of this id, if it has a text of this hash in force; None as above.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A session of a browser: of a key, by the hash of the text that it was made from, or of a provider's subject."""

    caller: StoredKey
    expires_at: datetime
    key_hash: bytes | None = None


class SessionStore(Protocol):
    """The sessions of browsers, by the SHA-256 of what the cookie holds. All processes see them."""

    async def find(self, session_hash: bytes) -> BrowserSession | None:
        """Return the session; None if there is none, or it is over, or its tenant is deleted.

        Whether its key is in force is to be asked of the keys.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...

    async def put(self, session_hash: bytes, session: BrowserSession) -> None:
        """Keep a new session.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...

    async def end(self, session_hash: bytes) -> None:
        """End a session, in all processes; nothing if there is none.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...


class NoSessions:
    """The null object of `SessionStore`: cookies are ignored."""

    async def find(self, session_hash: bytes) -> BrowserSession | None:  # noqa: ARG002  (there are none)
        return None

    async def put(self, session_hash: bytes, session: BrowserSession) -> None:  # noqa: ARG002  (it is nowhere to be kept)
        raise Unavailable("sessions are not kept here")

    async def end(self, session_hash: bytes) -> None:  # noqa: ARG002  (there are none)
        return


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


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """What one browser remembers while its user logs in at a provider. `issuer` is empty for the only one."""

    issuer: str
    state: str
    nonce: str
    verifier: str


class LoginProviders(Protocol):
    """The identity providers at which people can log in, by the code flow with PKCE."""

    async def address(self, attempt: LoginAttempt) -> str:
        """Return where the browser is to go.

        Raises:
            domain.errors.Invalid: there is no such provider.
            domain.errors.Unavailable: it cannot be reached.
        """
        ...

    async def redeem(self, attempt: LoginAttempt, code: str) -> StoredKey:
        """Return what the person who has logged in is and may do.

        Raises:
            domain.errors.Unauthenticated: the provider does not take the code, or what it gives for it is not valid.
            domain.errors.Forbidden: the person is of no tenant of this platform's.
            domain.errors.Invalid: there is no such provider.
            domain.errors.Unavailable: it cannot be reached.
        """
        ...


class NoLogins:
    """The null object of `LoginProviders`."""

    async def address(self, attempt: LoginAttempt) -> str:  # noqa: ARG002  (there is no provider)
        raise Invalid(NO_LOGIN, field="issuer")

    async def redeem(self, attempt: LoginAttempt, code: str) -> StoredKey:  # noqa: ARG002  (there is no provider)
        raise Invalid(NO_LOGIN, field="issuer")


class TenantStates(Protocol):
    """The tenants, as far as keys need them."""

    def is_active(self, tenant_id: str) -> bool:
        """Return true if the tenant exists and is not deleted, by the ledger and not by a view.

        Raises:
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        ...

    def is_deleted(self, tenant_id: str) -> bool:
        """Return true if the tenant was deleted, as above.

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
