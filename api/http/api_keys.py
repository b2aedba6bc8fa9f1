"""Authentication: the API key of a request and its caller."""

from collections.abc import Mapping
from hashlib import sha256

from api.http.caller import ALL_SCOPES, ANONYMOUS, Caller
from domain.errors import Unauthenticated
from domain.keys.ports import KeyStore, StoredKey

KEY_PREFIX = "cvg_"
ADMIN = StoredKey("key_admin", ALL_SCOPES)
"""The entry of the first admin key."""
METRICS = StoredKey("key_metrics", frozenset({"metrics"}))
"""The entry of the metrics key, which reads metrics and nothing else."""


def key_hash(key: str) -> bytes:
    """Return the stored form of a key, its SHA-256 (32 bytes). Keys are long and random: a slow hash is not needed."""
    return sha256(key.encode()).digest()


class KeyAuthenticator:
    """Authenticates requests by their headers. Without `required` no key is needed, but a `cvg_` key must be valid."""

    def __init__(self, keys: KeyStore, *, required: bool) -> None:
        self._keys = keys
        self._required = required

    async def authenticate(self, headers: Mapping[bytes, bytes], *, open_path: bool) -> Caller:
        """The caller. `open_path` needs no key, though a key sent is checked all the same.

        Raises:
            domain.errors.Unauthenticated: a key is missing or wrong.
            domain.errors.Unavailable: nobody can say whether the key is right.
        """
        key = _find_key(headers)
        if key is None:
            if self._required and not open_path:
                raise Unauthenticated("an API key is required: Authorization: Bearer cvg_… or X-API-Key")
            return ANONYMOUS
        known = await self._keys.find(key_hash(key))
        if known is None:
            raise Unauthenticated("the API key is invalid")
        return Caller(known.id, known.scopes, known.tenant_id)


def _find_key(headers: Mapping[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    for candidate in (
        token.strip() if scheme.lower() == "bearer" else "",
        headers.get(b"x-api-key", b"").decode("latin-1"),
    ):
        if candidate.startswith(KEY_PREFIX):
            return candidate
    return None
