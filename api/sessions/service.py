"""Beginning and ending browser sessions, and their cookies."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe

from starlette.responses import Response

from api.http.api_keys import COOKIE, SECURE_COOKIE, key_hash, session_hash
from api.http.request_context import RequestContext
from domain.errors import Unauthenticated
from domain.keys.ports import BrowserSession, KeyStore, SessionStore, StoredKey

SESSION_S = 8 * 3600
"""Seconds that a session lasts, at most: as long as its key is in force."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class SessionService:
    """Begins and ends sessions."""

    keys: KeyStore
    sessions: SessionStore
    now: Callable[[], datetime]

    async def begin_with_key(self, key: str) -> "StartedSession":
        """Begin a session of a key.

        Raises:
            Unauthenticated: the key is not in force.
            domain.errors.Unavailable: nobody can say whether it is.
        """
        known = await self.keys.find(key)
        if known is None:
            raise Unauthenticated("the API key is invalid")
        return await self.begin(known, key_hash(key))

    async def begin(self, caller: StoredKey, hashed: bytes | None = None) -> "StartedSession":
        """Begin a session of a caller; `hashed` is the hash of its key.

        Raises:
            domain.errors.Unavailable: the session cannot be kept.
        """
        cookie = token_urlsafe(32)
        session = BrowserSession(caller, self.now() + timedelta(seconds=SESSION_S), hashed)
        await self.sessions.put(session_hash(cookie), session)
        return StartedSession(cookie, session)


@dataclass(frozen=True, slots=True)
class StartedSession:
    """A session that was just begun, with what its cookie holds."""

    cookie: str
    session: BrowserSession


def is_loopback(request: RequestContext) -> bool:
    """Return true if the browser speaks to its own machine, where `Secure` cookies need not work."""
    host = request.given.get(b"host", b"").decode("latin-1").lower()
    return host.rpartition(":")[0] in _LOOPBACK or host in _LOOPBACK


def set_session_cookie(request: RequestContext, response: Response, cookie: str) -> None:
    """Set the session's cookie, which no script can read and no other site can send."""
    set_cookie(request, response, cookie, COOKIE, SECURE_COOKIE, max_age=SESSION_S)


def set_cookie(
    request: RequestContext, response: Response, value: str, plain: str, secure: str, *, max_age: int, lax: bool = False
) -> None:
    """Set a cookie: `plain` is its name on loopback, `secure` anywhere else. Without a value it is removed."""
    is_plain = is_loopback(request)
    response.set_cookie(
        plain if is_plain else secure,
        value,
        max_age=max_age if value else 0,
        path="/",
        secure=not is_plain,
        httponly=True,
        samesite="lax" if lax else "strict",
    )
