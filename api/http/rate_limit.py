"""Authentication and rate limit: the key is checked, then a token is taken from the caller's bucket."""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from time import monotonic

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import request_context as context
from api.http.api_keys import KeyAuthenticator
from api.http.caller import Caller
from api.http.request_context import RequestContext
from domain.errors import Forbidden, RateLimited, Unauthenticated, Unavailable
from domain.governance.ports import FallbackLimiter, RateLimiter, RateLimitVerdict
from domain.tenant_ids import qualified

_OPEN = ("/health", "/docs", "/redoc", "/openapi.json")
_UNLIMITED = (*_OPEN, "/metrics")
LOGINS = frozenset({("POST", "/api/v1/auth/session"), ("GET", "/api/v1/auth/login"), ("GET", "/api/v1/auth/callback")})
"""What a browser without a session calls to get one."""


class AccessControl:
    """Authenticates and limits requests. A wrong key costs a token of the client's address, to slow down guessing."""

    def __init__(self, app: ASGIApp, *, identity: KeyAuthenticator, limiter: RateLimiter) -> None:
        self._app = app
        self._identity = identity
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._admit(context.from_scope(scope))
        await self._app(scope, receive, send)

    async def _admit(self, request: RequestContext) -> None:
        wrong: Unauthenticated | Forbidden | None = None
        try:
            is_open = _is_below(request.path, _OPEN) or (request.method, request.path) in LOGINS
            request.caller = await self._identity.authenticate(request.given, request.method, open_path=is_open)
        except (Unauthenticated, Forbidden) as error:
            wrong = error
        if wrong or not _is_below(request.path, _UNLIMITED):
            await self._limit(request)
        if wrong:
            raise wrong

    async def _limit(self, request: RequestContext) -> None:
        verdict = await self._limiter.take(bucket_of(request.caller, request.client))
        if verdict is None:
            return
        request.headers += (
            (b"x-ratelimit-limit", b"%d" % verdict.limit),
            (b"x-ratelimit-remaining", b"%d" % verdict.remaining),
            (b"x-ratelimit-reset", b"%d" % verdict.full_at),
        )
        if not verdict.allowed:
            wait = max(1, verdict.retry_after)
            raise RateLimited(f"too many requests; try again in {wait} s", retry_after=wait, limit=verdict.limit)


def bucket_of(caller: Caller, client: str) -> str:
    """Return the name of a caller's bucket: its key's, else that of its address."""
    return qualified(caller.tenant_id, caller.key_id) if caller.key_id else f"client:{_network(client)}"


class FallbackRateLimiter:
    """The fallback when the shared buckets cannot be reached: buckets of this process, counted by `alone`.

    They start from the last state of the shared ones. After a failure the shared ones are not used for `pause_s`
    seconds, so that a dead server costs one request its timeout, not all.
    """

    def __init__(
        self,
        limiter: RateLimiter,
        own: FallbackLimiter,
        *,
        alone: Callable[[], object],
        pause_s: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._limiter = limiter
        self._own = own
        self._alone = alone
        self._pause_s = pause_s
        self._clock = clock
        self._ask_again_at = 0.0
        self._silent_until = 0.0
        self._log = structlog.get_logger("convergio.api")

    async def take(self, bucket: str) -> RateLimitVerdict | None:
        if self._ask_again_at:
            if self._clock() < self._ask_again_at:
                return await self._take_local(bucket)
            self._ask_again_at = self._clock() + self._pause_s  # only this request retries, others do not wait
        try:
            verdict = await self._limiter.take(bucket)
        except Unavailable as error:
            self._pause_shared(error)
            return await self._take_local(bucket)
        self._ask_again_at = 0.0
        if verdict:
            self._own.follow(bucket, verdict)
        return verdict

    async def _take_local(self, bucket: str) -> RateLimitVerdict | None:
        self._alone()
        return await self._own.take(bucket)

    def _pause_shared(self, error: Unavailable) -> None:
        now = self._clock()
        self._ask_again_at = now + self._pause_s
        if now >= self._silent_until:
            self._silent_until = now + 1
            reason = repr(error.__cause__ or error)
            self._log.warning("rate limit not shared: its buckets cannot be reached", reason=reason)


def _is_below(path: str, roots: tuple[str, ...]) -> bool:
    return path.startswith(roots) and any(path == root or path.startswith(root + "/") for root in roots)


@lru_cache(maxsize=4096)
def _network(client: str) -> str:
    """Return the address; for IPv6 its /64, since a client controls all addresses in it."""
    if ":" not in client:
        return client
    try:
        return str(ip_network((IPv6Address(client.partition("%")[0]), 64), strict=False))
    except ValueError:
        return client
