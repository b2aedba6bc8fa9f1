"""Keys: which one came with a request, and whose it is."""

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from api.http.caller import ALL_SCOPES, ANONYMOUS, Caller
from domain.errors import Unauthenticated

KEY_PREFIX = "cvg_"
ADMIN = Caller("key_admin", ALL_SCOPES)
"""The caller behind the first admin key."""
METRICS = Caller("key_metrics", frozenset({"metrics"}))
"""The caller behind the key of whoever collects figures: it reads them, and does nothing else."""


def key_hash(key: str) -> bytes:
    """What is kept of a key: its SHA-256 (32 bytes). Keys are long and random, so nothing slower is needed."""
    return sha256(key.encode()).digest()


class Identity:
    """Tells the caller from the headers. With `required` off, no key is needed but a `cvg_` key sent must be right."""

    def __init__(self, *, required: bool, admin_key_hash: bytes | None, metrics_key_hash: bytes | None = None) -> None:
        self._required = required
        keys = ((admin_key_hash, ADMIN), (metrics_key_hash, METRICS))
        self._known = [(known, caller) for known, caller in keys if known is not None]

    def of(self, headers: Mapping[bytes, bytes], *, open_path: bool) -> Caller:
        """The caller. `open_path` needs no key, though a key sent is checked all the same.

        Raises:
            domain.errors.Unauthenticated: a key is missing or wrong.
        """
        key = _key(headers)
        if key is None:
            if self._required and not open_path:
                raise Unauthenticated("this needs an API key: Authorization: Bearer cvg_… or X-API-Key")
            return ANONYMOUS
        given = key_hash(key)
        for known, caller in self._known:
            if compare_digest(given, known):
                return caller
        raise Unauthenticated("this API key is not known")


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    for candidate in (
        token.strip() if scheme.lower() == "bearer" else "",
        headers.get(b"x-api-key", b"").decode("latin-1"),
    ):
        if candidate.startswith(KEY_PREFIX):
            return candidate
    return None
