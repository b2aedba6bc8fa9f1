"""Authentication: the API key, token or session cookie of a request, and its caller."""

import re
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from api.http.caller import ALL_SCOPES, ANONYMOUS, Caller
from domain.errors import Forbidden, Unauthenticated, Unavailable
from domain.keys.policy import KEY_PREFIX, key_hash
from domain.keys.ports import (
    KEY_REQUIRED,
    BrowserSession,
    KeyStore,
    NoSessions,
    NoTokens,
    SessionStore,
    StoredKey,
    TokenVerifier,
)

__all__ = ["ADMIN", "METRICS", "KeyAuthenticator", "csrf_token", "key_hash", "session_cookie", "session_hash"]

ADMIN = StoredKey("key_admin", ALL_SCOPES)
"""The entry of the first admin key."""
METRICS = StoredKey("key_metrics", frozenset({"metrics"}))
"""The entry of the metrics key, which reads metrics and nothing else."""

COOKIE = "convergio_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""The cookie where it can be `Secure`: no other host of the domain can set one of this name."""
_COOKIE_TEXT = re.compile(r"[A-Za-z0-9_-]{43}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class KeyAuthenticator:
    """Authenticates requests by their headers. Without `required` no key is needed, but a `cvg_` key must be valid.

    Tokens of identity providers are accepted where keys are required, and ignored elsewhere. A cookie counts where
    there is neither; what it changes needs the session's token in `X-CSRF-Token`, which no other site can know.
    """

    def __init__(
        self,
        keys: KeyStore,
        *,
        required: bool,
        tokens: TokenVerifier | None = None,
        sessions: SessionStore | None = None,
    ) -> None:
        self._keys = keys
        self._required = required
        self._tokens = tokens or NoTokens()
        self._sessions = sessions or NoSessions()

    async def authenticate(self, headers: Mapping[bytes, bytes], method: str = "GET", *, open_path: bool) -> Caller:
        """The caller. `open_path` needs no key, though a key sent is checked all the same.

        Raises:
            domain.errors.Unauthenticated: a key, token or session is missing or wrong.
            domain.errors.Forbidden: a token is valid, but of no tenant; or a session's token is missing.
            domain.errors.Unavailable: nobody can say whether the key is right.
        """
        try:
            known = await self._find(headers, method, open_path=open_path)
        except Unavailable:
            if open_path:  # health is reported while the database is away
                return ANONYMOUS
            raise
        return Caller(known.id, known.scopes, known.tenant_id) if known is not None else ANONYMOUS

    async def _find(self, headers: Mapping[bytes, bytes], method: str, *, open_path: bool) -> StoredKey | None:
        bearer = _bearer(headers)
        if (key := _find_key(headers, bearer)) is not None:
            return await self._check(key)
        if open_path:
            return None
        if bearer and self._required:
            return await self._tokens.verify(bearer)
        if (cookie := session_cookie(headers)) and (known := await self._of_session(cookie)) is not None:
            if method not in _SAFE and not _has_csrf_token(headers, cookie):
                raise Forbidden("a session's changes need its token in the header X-CSRF-Token")
            return known
        if self._required:
            raise Unauthenticated(KEY_REQUIRED)
        return None

    async def _check(self, key: str) -> StoredKey:
        known = await self._keys.find(key)
        if known is None:
            raise Unauthenticated("the API key is invalid")
        return known

    async def _of_session(self, cookie: str) -> StoredKey | None:
        if not _COOKIE_TEXT.fullmatch(cookie):
            return None
        session = await self._sessions.find(session_hash(cookie))
        return await caller_of(session, self._keys) if session is not None else None


async def caller_of(session: BrowserSession, keys: KeyStore) -> StoredKey | None:
    """Return what the caller of a session is and may do now; None if its key is no longer in force.

    Raises:
        domain.errors.Unavailable: nobody can say.
    """
    if session.key_hash is None:
        return session.caller
    return await keys.find_by_hash(session.caller.id, session.key_hash)


def session_hash(cookie: str) -> bytes:
    """Return the stored form of what a session's cookie holds."""
    return sha256(cookie.encode("utf-8", "surrogatepass")).digest()


def csrf_token(cookie: str) -> str:
    """Return the token of a session that its pages send with what they change. It does not lead back to the cookie."""
    return sha256(b"csrf\x1f" + cookie.encode("utf-8", "surrogatepass")).hexdigest()


def cookie_of(headers: Mapping[bytes, bytes], *names: str) -> str | None:
    """Return the cookie of the first of these names that the request has."""
    pairs = (part.strip().partition("=") for part in headers.get(b"cookie", b"").decode("latin-1").split(";"))
    found = {name: value for name, _, value in pairs}
    return next((found[name] for name in names if found.get(name)), None)


def session_cookie(headers: Mapping[bytes, bytes]) -> str | None:
    """Return what the session's cookie holds."""
    return cookie_of(headers, SECURE_COOKIE, COOKIE)


def _has_csrf_token(headers: Mapping[bytes, bytes], cookie: str) -> bool:
    return compare_digest(headers.get(b"x-csrf-token", b""), csrf_token(cookie).encode())


def _bearer(headers: Mapping[bytes, bytes]) -> str:
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _find_key(headers: Mapping[bytes, bytes], bearer: str) -> str | None:
    for candidate in (bearer, headers.get(b"x-api-key", b"").decode("latin-1")):
        if candidate.startswith(KEY_PREFIX):
            return candidate
    return None
