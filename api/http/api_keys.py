"""Authentication: the API key of a request and its caller."""

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from api.http.caller import ALL_SCOPES, ANONYMOUS, Caller
from domain.errors import Unauthenticated

KEY_PREFIX = "cvg_"
ADMIN = Caller("key_admin", ALL_SCOPES)
"""The caller with the first admin key."""
METRICS = Caller("key_metrics", frozenset({"metrics"}))
"""The caller with the metrics key, which can only read metrics."""


def key_hash(key: str) -> bytes:
    """Return the stored form of a key, its SHA-256 (32 bytes). Keys are long and random: a slow hash is not needed."""
    return sha256(key.encode()).digest()


class Identity:
    """Authenticates requests by their headers. Without `required` no key is needed, but a `cvg_` key must be valid."""

    def __init__(self, *, required: bool, admin_key_hash: bytes | None, metrics_key_hash: bytes | None = None) -> None:
        self._required = required
        keys = ((admin_key_hash, ADMIN), (metrics_key_hash, METRICS))
        self._known = [(known, caller) for known, caller in keys if known is not None]

    def of(self, headers: Mapping[bytes, bytes], *, open_path: bool) -> Caller:
        """Return the caller. `open_path` needs no key, but a key that is sent is checked.

        Raises:
            domain.errors.Unauthenticated: the key is missing or wrong.
        """
        key = _key(headers)
        if key is None:
            if self._required and not open_path:
                raise Unauthenticated("an API key is required: Authorization: Bearer cvg_… or X-API-Key")
            return ANONYMOUS
        given = key_hash(key)
        for known, caller in self._known:
            if compare_digest(given, known):
                return caller
        raise Unauthenticated("the API key is invalid")


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    for candidate in (
        token.strip() if scheme.lower() == "bearer" else "",
        headers.get(b"x-api-key", b"").decode("latin-1"),
    ):
        if candidate.startswith(KEY_PREFIX):
            return candidate
    return None
