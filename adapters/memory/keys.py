"""The keys that a process was started with."""

from collections.abc import Mapping
from hmac import compare_digest

from domain.keys.ports import StoredKey
from domain.tenant_ids import refuse_invalid


class MemoryKeys:
    """`domain.keys.ports.KeyStore` of a few keys, by their hashes.

    Raises:
        ValueError: one names a tenant whose id cannot be.
    """

    def __init__(self, keys: Mapping[bytes, StoredKey]) -> None:
        for key in keys.values():
            refuse_invalid(key.tenant_id)
        self._keys = dict(keys)

    async def find(self, key_hash: bytes) -> StoredKey | None:
        found = [key for known, key in self._keys.items() if compare_digest(key_hash, known)]
        return found[0] if found else None
