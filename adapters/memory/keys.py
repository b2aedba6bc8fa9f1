"""The keys that a process was started with."""

from collections.abc import Mapping
from hmac import compare_digest

from domain.keys.policy import key_hash
from domain.keys.ports import KeyStore, StoredKey
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

    async def find(self, key: str) -> StoredKey | None:
        return self._find(key_hash(key))

    async def find_by_hash(self, key_id: str, key_hash: bytes) -> StoredKey | None:
        found = self._find(key_hash)
        return found if found is not None and found.id == key_id else None

    def _find(self, hashed: bytes) -> StoredKey | None:
        found = [stored for known, stored in self._keys.items() if compare_digest(hashed, known)]
        return found[0] if found else None


class JoinedKeys:
    """`domain.keys.ports.KeyStore` of several, which are asked in turn."""

    def __init__(self, *stores: KeyStore) -> None:
        self._stores = stores

    async def find(self, key: str) -> StoredKey | None:
        for store in self._stores:
            if (found := await store.find(key)) is not None:
                return found
        return None

    async def find_by_hash(self, key_id: str, key_hash: bytes) -> StoredKey | None:
        for store in self._stores:
            if (found := await store.find_by_hash(key_id, key_hash)) is not None:
                return found
        return None
