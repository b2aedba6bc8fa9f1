"""Authentication: the API key of a request and its caller."""

from collections.abc import Mapping

from api.http.caller import ALL_SCOPES, ANONYMOUS, Caller
from domain.errors import Unauthenticated, Unavailable
from domain.keys.policy import KEY_PREFIX, key_hash
from domain.keys.ports import KeyStore, StoredKey

__all__ = ["ADMIN", "METRICS", "KeyAuthenticator", "key_hash"]

ADMIN = StoredKey("key_admin", ALL_SCOPES)
"""The entry of the first admin key."""
METRICS = StoredKey("key_metrics", frozenset({"metrics"}))
"""The entry of the metrics key, which reads metrics and nothing else."""


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
        try:
            known = await self._keys.find(key)
        except Unavailable:
            if open_path:  # health is reported while the database is away
                return ANONYMOUS
            raise
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
