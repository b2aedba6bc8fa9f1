"""Routes by which a browser gets a session, asks who it is, and logs out."""

from fastapi import APIRouter, Response

from api.http.api_keys import csrf_token, session_cookie, session_hash
from api.http.dependencies import CurrentRequest, any_caller, open_to_all
from api.http.schemas import DeletedResource
from api.sessions.schemas import CurrentSession, Login
from api.sessions.service import SessionService, set_session_cookie

PREFIX = "/api/v1/auth"


def router(service: SessionService) -> APIRouter:
    """`/api/v1/auth/session`."""
    routes = APIRouter(prefix=PREFIX, tags=["User Keys"])

    @routes.post("/session", status_code=201, dependencies=[open_to_all()])
    async def log_in(body: Login, request: CurrentRequest, response: Response) -> CurrentSession:
        """Begins a session of a browser with a key, in a cookie that scripts cannot read.

        It lasts eight hours, and no longer than the text of the key is valid. What is changed with the cookie needs
        `csrf_token` in the header `X-CSRF-Token`.
        """
        request.unstored = frozenset({"csrf_token"})
        begun = await service.begin_with_key(body.key)
        set_session_cookie(request, response, begun.cookie)
        response.headers["location"] = f"{PREFIX}/session"
        caller = begun.session.caller
        return CurrentSession(
            caller_id=caller.id,
            tenant_id=caller.tenant_id,
            scopes=sorted(caller.scopes),
            expires_at=begun.session.expires_at,
            csrf_token=csrf_token(begun.cookie),
        )

    @routes.get("/session", dependencies=[any_caller()])
    async def who_am_i(request: CurrentRequest) -> CurrentSession:
        """Returns the caller, and the token and the end of its session."""
        caller, cookie = request.caller, session_cookie(request.given)
        session = await service.sessions.find(session_hash(cookie)) if cookie else None
        if session is not None and session.caller.id != caller.id:
            session = None  # the request was authenticated by another key
        return CurrentSession(
            caller_id=caller.id,
            tenant_id=caller.tenant_id,
            scopes=sorted(caller.scopes),
            expires_at=session.expires_at if session is not None else None,
            csrf_token=csrf_token(cookie) if cookie and session is not None else None,
        )

    @routes.delete("/session", dependencies=[any_caller()])
    async def log_out(request: CurrentRequest, response: Response) -> DeletedResource:
        """Ends the session of the cookie, in every process. Without one it does nothing."""
        if (cookie := session_cookie(request.given)) is not None:
            await service.sessions.end(session_hash(cookie))
        set_session_cookie(request, response, "")
        return DeletedResource(id="session")

    return routes
