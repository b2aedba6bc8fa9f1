"""Authentication: the API key of a request and its caller."""

from collections.abc import Mapping

from api.http.caller import ALL_SCOPES, ANONYMOUS, Caller
from domain.errors import Unauthenticated, Unavailable
from domain.keys.policy import KEY_PREFIX, key_hash
from domain.keys.ports import KEY_REQUIRED, KeyStore, NoTokens, StoredKey, TokenVerifier

__all__ = ["ADMIN", "METRICS", "KeyAuthenticator", "key_hash"]

ADMIN = StoredKey("key_admin", ALL_SCOPES)
"""The entry of the first admin key."""
METRICS = StoredKey("key_metrics", frozenset({"metrics"}))
"""The entry of the metrics key, which reads metrics and nothing else."""


class KeyAuthenticator:
    """Authenticates requests by their headers. Without `required` no key is needed, but a `cvg_` key must be valid.

    Tokens of identity providers are accepted where keys are required, and ignored elsewhere.
    """

    def __init__(self, keys: KeyStore, *, required: bool, tokens: TokenVerifier | None = None) -> None:
        self._keys = keys
        self._required = required
        self._tokens = tokens or NoTokens()

    async def authenticate(self, headers: Mapping[bytes, bytes], *, open_path: bool) -> Caller:
        """The caller. `open_path` needs no key, though a key sent is checked all the same.

        Raises:
            domain.errors.Unauthenticated: a key or token is missing or wrong.
            domain.errors.Forbidden: a token is valid, but of no tenant.
            domain.errors.Unavailable: nobody can say whether the key is right.
        """
        bearer = _bearer(headers)
        key = _find_key(headers, bearer)
        try:
            if key is not None:
                known = await self._keys.find(key)
            elif not self._required or open_path:
                return ANONYMOUS
            else:
                known = await self._verify(bearer)
        except Unavailable:
            if open_path:  # health is reported while the database is away
                return ANONYMOUS
            raise
        if known is None:
            raise Unauthenticated("the API key is invalid")
        return Caller(known.id, known.scopes, known.tenant_id)

    async def _verify(self, bearer: str) -> StoredKey:
        if not bearer:
            raise Unauthenticated(KEY_REQUIRED)
        return await self._tokens.verify(bearer)


def _bearer(headers: Mapping[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _find_key(headers: Mapping[bytes, bytes], bearer: str) -> str | None:
    for candidate in (bearer, headers.get(b"x-api-key", b"").decode("latin-1")):
        if candidate.startswith(KEY_PREFIX):
            return candidate
    return None
