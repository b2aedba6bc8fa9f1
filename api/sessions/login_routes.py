"""Routes of logins at an identity provider."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from pydantic import TypeAdapter
from starlette.responses import RedirectResponse

from api.http.api_keys import cookie_of
from api.http.dependencies import CurrentRequest, open_to_all
from api.http.request_context import RequestContext
from api.sessions.service import SessionService, set_cookie, set_session_cookie
from domain.errors import Invalid, Unauthenticated
from domain.keys.ports import LoginAttempt, LoginProviders

PREFIX = "/api/v1/auth"
ATTEMPT_S = 600
"""Seconds that a person has for the login at the provider."""

_COOKIE = "convergio_login"
_SECURE_COOKIE = f"__Host-{_COOKIE}"
_FIELDS: TypeAdapter[tuple[str, str, str, str, str]] = TypeAdapter(tuple[str, str, str, str, str])
_SEE_OTHER = 303
_Next = Annotated[
    str,
    Query(
        alias="next",
        max_length=500,
        pattern=r"^/([!-.0-\[\]-~][!-\[\]-~]*)?$",
        description="The path of this host to which the browser goes afterwards.",
    ),
]
_Text = Annotated[str | None, Query(max_length=4000, pattern=r"^[^\x00]*$")]


def router(service: SessionService, providers: LoginProviders) -> APIRouter:
    """`/api/v1/auth/login` and `/api/v1/auth/callback`."""
    routes = APIRouter(prefix=PREFIX, tags=["User Keys"], dependencies=[open_to_all()])

    @routes.get("/login", status_code=_SEE_OTHER, response_class=RedirectResponse)
    async def log_in_at_provider(
        request: CurrentRequest, path: _Next = "/docs", issuer: _Text = None
    ) -> RedirectResponse:
        """Sends a browser to an identity provider, at which its user logs in.

        `issuer` names one of several. The login has to be finished within ten minutes, in the same browser.
        """
        attempt = LoginAttempt(issuer or "", token_urlsafe(32), token_urlsafe(32), token_urlsafe(48))
        response = RedirectResponse(await providers.address(attempt), _SEE_OTHER)
        _remember(request, response, _pack(attempt, path))
        return response

    @routes.get("/callback", status_code=_SEE_OTHER, response_class=RedirectResponse)
    async def finish_login(
        request: CurrentRequest, code: _Text = None, state: _Text = None, error: _Text = None
    ) -> RedirectResponse:
        """Takes a browser back from the identity provider, and begins a session."""
        attempt, path = _unpack(cookie_of(request.given, _SECURE_COOKIE, _COOKIE))
        if (
            error
            or not code
            or not compare_digest((state or "").encode("utf-8", "surrogatepass"), attempt.state.encode())
        ):
            raise Unauthenticated("the login was not confirmed, or was begun elsewhere")
        begun = await service.begin(await providers.redeem(attempt, code))
        response = RedirectResponse(path, _SEE_OTHER)
        set_session_cookie(request, response, begun.cookie)
        _remember(request, response, "")
        return response

    return routes


def _remember(request: RequestContext, response: RedirectResponse, attempt: str) -> None:
    """Set the cookie of a login. It is `Lax`, because the browser comes back from another site."""
    set_cookie(request, response, attempt, _COOKIE, _SECURE_COOKIE, max_age=ATTEMPT_S, lax=True)


def _pack(attempt: LoginAttempt, path: str) -> str:
    fields = [attempt.issuer, attempt.state, attempt.nonce, attempt.verifier, path]
    return urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")


def _unpack(cookie: str | None) -> tuple[LoginAttempt, str]:
    """Return the attempt that a browser remembers, and where it is to go.

    Raises:
        Invalid: it remembers none.
    """
    try:
        fields = _FIELDS.validate_json(urlsafe_b64decode((cookie or "").encode("ascii") + b"=="))
    except (ValueError, TypeError):
        reason = "no login was begun in this browser, or it took too long"
        raise Invalid(reason, field="state", reason=reason) from None
    *given, path = fields
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return LoginAttempt(*given), path if is_local else "/docs"
