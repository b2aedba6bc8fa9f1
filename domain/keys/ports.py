"""What the check of API keys needs of the outside: a place that knows them."""

from dataclasses import dataclass
from typing import Literal, Protocol

from domain.tenant_ids import DEFAULT

Scope = Literal["read", "write", "approve", "admin", "metrics"]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is known of a key but the key itself: its id, the tenant that it acts in, and its scopes."""

    id: str
    scopes: frozenset[Scope]
    tenant_id: str = DEFAULT


class KeyStore(Protocol):
    """The keys that are in force, by the SHA-256 of each."""

    async def find(self, key_hash: bytes) -> StoredKey | None:
        """The key of this hash; None when there is none, or it is revoked.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...
