"""Integer ids of records, such as talents and projects: unique within a tenant and kind, and never used twice."""

from typing import Protocol


class IntegerIds(Protocol):
    """Reserves ids for all processes. Ids may be left out, and count from 1."""

    def reserve(self, tenant_id: str, kind: str, *, size: int = 1, key: str | None = None) -> int:
        """Reserve `size` consecutive ids and return the first. The same key returns the same ids.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        ...


class TenantSecrets(Protocol):
    """Random keys of a tenant. Without the key, a keyed hash reveals and confirms nothing."""

    def secret(self, tenant_id: str, purpose: str) -> bytes:
        """Return the tenant's key for this purpose, which is created on first use.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        ...
