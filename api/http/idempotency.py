"""`Idempotency-Key`: a POST with the same key and body gets the same response as the first time.

Stored are successes (2xx) and conflicts (409). Any other refusal may end differently next time; it has done nothing, so
the request simply runs again. A 202 reports progress, which a repeat reads anew.

A request without the header passes untouched. With it, the key is claimed before anything happens; if the store cannot
be reached, the request is refused (fails closed), because it could be a repeat.
"""

import asyncio
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any
from uuid import uuid4

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import request_context as context
from api.http.request_context import RequestContext
from domain.errors import Conflict, Invalid, Unavailable
from domain.idempotency.ports import JOINS_HEADER, LEASE_S, AnswerStore, ClaimResult, StoredAnswer
from domain.tenant_ids import qualified

MAX_KEY = 255
"""Maximum characters of a key."""
RENEW_S = LEASE_S / 3
"""Interval in seconds at which a claim is renewed while its request is processed."""
_VALID_KEY = re.compile(rb"[\x21-\x7e]{1,%d}" % MAX_KEY)
_FIRST_POLL_S, _LAST_POLL_S = 0.02, 0.5
_CONFLICT = 409
_REFUSED_BEFORE = frozenset({404, 409, 422})
"""Refusals of a repeat that are answered with the stored 202 instead: accepted work stays accepted.

A stored 202 that asked for the same request again is the exception: then the refusal is the outcome of the work.
"""


class Idempotency:
    """`wait_s` bounds, in seconds, how long a repeat waits for the first request's response."""

    def __init__(self, app: ASGIApp, *, answers: AnswerStore, wait_s: float) -> None:
        self._app = app
        self._answers = answers
        self._wait_s = wait_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] == "POST"
            and b"idempotency-key" in context.from_scope(scope).given
        ):
            await self._handle_once(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _handle_once(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = context.from_scope(scope)
        key = sha256(b"\x1f".join(_key_parts(request))).digest()
        claim = _Claim(self._answers, key, request.caller.tenant_id)
        kept = await self._acquire(claim, _fingerprint(request, scope["query_string"]))
        if kept is None:
            async with claim:
                await self._app(scope, receive, _StoredResponse(claim, request, send).send)
            return
        if not kept.is_provisional:
            await _replay(kept, request, send)
            return
        again = _RefreshedResponse(claim, kept, request, send)
        await self._app(scope, receive, again.send)

    async def _acquire(self, claim: "_Claim", fingerprint: bytes) -> StoredAnswer | None:
        """Return the stored response, or None once the key is claimed by this request."""
        loop, pause = asyncio.get_running_loop(), _FIRST_POLL_S
        give_up_at = loop.time() + self._wait_s
        while (outcome := await claim.take(fingerprint)) == "busy":
            if loop.time() + pause > give_up_at:
                raise Unavailable("the first request with this key is still being processed", retry_after=5)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LAST_POLL_S)
        if outcome == "other_body":
            raise Conflict("this Idempotency-Key was used with another body", field="Idempotency-Key")
        return outcome if isinstance(outcome, StoredAnswer) else None


class _Claim:
    """A claimed key. It is renewed while the request is processed, and released after, unless a response was stored."""

    def __init__(self, answers: AnswerStore, key: bytes, tenant_id: str) -> None:
        self._answers = answers
        self._tenant_id = tenant_id
        self._renewal: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._kept = False
        self._log = structlog.get_logger("convergio.api")
        self.key = key
        self.holder = uuid4().hex

    async def __aenter__(self) -> None:
        self._schedule_renewal()

    async def __aexit__(self, *raised: object) -> None:
        if self._timer:
            self._timer.cancel()
        if self._renewal and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)
        # after a cancellation the work may go on: only the expiry of the lease frees the key
        if not self._kept and not isinstance(raised[1], asyncio.CancelledError):
            await self._try(self._answers.release(self.key, self.holder))

    async def take(self, fingerprint: bytes) -> ClaimResult:
        """Claim the key for a body with this fingerprint."""
        return await self._answers.claim(self.key, fingerprint, self.holder, tenant_id=self._tenant_id)

    async def keep(self, answer: StoredAnswer) -> None:
        """Store the response. The client gets it even if that fails: the work has been done."""
        self._kept = True  # even if storing fails: a released key would let a repeat do the work again
        await self._try(self._answers.keep(self.key, self.holder, answer))

    async def replace(self, answer: StoredAnswer) -> None:
        """Store the final response in place of the provisional one."""
        await self._try(self._answers.replace(self.key, answer))

    def _schedule_renewal(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(RENEW_S, self._start_renewal)

    def _start_renewal(self) -> None:
        self._renewal = asyncio.ensure_future(self._renew())

    async def _renew(self) -> None:
        await self._try(self._answers.renew(self.key, self.holder))
        self._schedule_renewal()

    async def _try(self, step: Any) -> None:
        try:
            await step
        except Unavailable as error:  # the lease expires by itself, and a repeat joins the same work
            self._log.warning("idempotency store unreachable during a request", reason=repr(error.__cause__ or error))


class _BufferedResponse:
    """Buffers the start of a response until its first chunk, for a decision about both together."""

    def __init__(self, claim: _Claim, request: RequestContext, send: Send) -> None:
        self._claim = claim
        self._request = request
        self._send = send
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            start, self._start = self._start, None
            await self._finish(start, message)

    async def _finish(self, start: Message, body: Message) -> None:
        raise NotImplementedError


class _StoredResponse(_BufferedResponse):
    """Stores a response before sending it. A response in several chunks is a stream, and is not stored."""

    async def _finish(self, start: Message, body: Message) -> None:
        if _is_storable(start, self._request) and not body.get("more_body"):
            await self._claim.keep(_answer(start, body, self._request))
        await self._send(start)
        await self._send(body)


class _RefreshedResponse(_BufferedResponse):
    """Sends the current state of accepted work, and stores the response once the work is over."""

    def __init__(self, claim: _Claim, kept: StoredAnswer, request: RequestContext, send: Send) -> None:
        super().__init__(claim, request, send)
        self._kept = kept

    async def _finish(self, start: Message, body: Message) -> None:
        if start["status"] in _REFUSED_BEFORE and not _has_retry_after(name for name, _ in self._kept.headers):
            await _replay(self._kept, self._request, self._send)
            return
        if _is_storable(start, self._request) and not body.get("more_body"):
            await self._claim.replace(_answer(start, body, self._request))
        await self._send(start)
        await self._send(body)


def _is_storable(start: Message, request: RequestContext) -> bool:
    """Return whether the response is stored for repeats.

    One with `Retry-After` is not, unless the repeat joins the work, and so reads its state anyway.
    """
    status = start["status"]
    is_told = request.joins or not _has_retry_after(name.decode("latin-1") for name, _ in start["headers"])
    return (status // 100 == 2 or status == _CONFLICT) and is_told  # noqa: PLR2004  (2xx)


def _has_retry_after(headers: Iterable[str]) -> bool:
    """Return whether the response asks the client to repeat the request."""
    return any(name.lower() == "retry-after" for name in headers)


def _answer(start: Message, body: Message, request: RequestContext) -> StoredAnswer:
    named = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"])
    headers = tuple((name, value) for name, value in named if name.lower() != "set-cookie")  # a cookie is a secret
    text = body.get("body", b"")
    if request.unstored:
        text = orjson.dumps({name: value for name, value in orjson.loads(text).items() if name not in request.unstored})
        headers = tuple((name, str(len(text)) if name == "content-length" else value) for name, value in headers)
    return StoredAnswer(start["status"], (*headers, (JOINS_HEADER, "true")) if request.joins else headers, text)


async def _replay(answer: StoredAnswer, request: RequestContext, send: Send) -> None:
    request.add_header("idempotency-replayed", "true")
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers if name != JOINS_HEADER
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def scoped_key(request: RequestContext) -> str | None:
    """The request's key as a name that no other tenant, caller, method or path has; None without the header.

    What a command derives ids from, so that a repeat joins the same work even when no answer was kept.
    """
    if b"idempotency-key" not in request.given:
        return None
    return sha256(b"\x1f".join(_key_parts(request))).hexdigest()


def _key_parts(request: RequestContext) -> tuple[bytes, ...]:
    key = request.given[b"idempotency-key"]
    if not _VALID_KEY.fullmatch(key):
        reason = f"1 to {MAX_KEY} visible ASCII characters"
        raise Invalid(f"Idempotency-Key must be {reason}", field="Idempotency-Key", reason=reason)
    caller = qualified(request.caller.tenant_id, request.caller.id)
    return caller.encode(), request.method.encode(), request.path.encode("utf-8", "surrogatepass"), key


def _fingerprint(request: RequestContext, query: bytes) -> bytes:
    """Return the hash by which bodies are compared: normalised JSON, and the query without `envelope`."""
    body = b"" if request.json is None else orjson.dumps(request.json, option=orjson.OPT_SORT_KEYS)
    asked = b"&".join(sorted(part for part in query.split(b"&") if not part.startswith(b"envelope=")))
    return sha256(asked + b"\x1f" + body).digest()
