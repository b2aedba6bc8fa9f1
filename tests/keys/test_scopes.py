"""Every route declares the scope that it requires, and requires it."""

import re
from collections.abc import Iterator
from typing import get_args

import pytest
from fastapi import APIRouter, WebSocket
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from api.http.dependencies import declared_scopes, requires
from api.http.rate_limit import LOGINS
from api.http.routing import LiteralRoutes
from domain.keys.ports import GrantableScope, Scope
from tests.live.socket_client import Refusal, connected
from tests.system import ADMIN_KEY, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPEN = ("/health", "/docs", "/redoc", "/openapi.json")
"""What answers without a key."""
PLAIN = {"/openapi.json", "/docs/assets"}
"""Routes of the framework that can declare nothing: they are open."""
SCOPES: tuple[Scope, ...] = get_args(GrantableScope)


def routes(system: System) -> Iterator[tuple[BaseRoute, str]]:
    """All routes, sockets included, and their paths; the index of the others is none."""
    for route in system.app.routes:
        if not isinstance(route, LiteralRoutes):
            yield route, str(getattr(route, "path", ""))


def asked(system: System, scope: Scope) -> list[tuple[str, str]]:
    """Methods and paths of the routes that require a scope."""
    return [
        (method, re.sub(r"\{\w+\}", "1", path))
        for route, path in routes(system)
        if declared_scopes(route) == [scope] and isinstance(route, Route)
        for method in sorted(route.methods or ())
    ]


async def test_every_route_declares_one_scope_or_is_open(guarded: System) -> None:
    walked = list(routes(guarded))
    assert len(walked) > 50
    for route, path in walked:
        if path in PLAIN:
            assert isinstance(route, Mount | Route)
            continue
        declared = declared_scopes(route)
        assert len(declared) == 1, f"{path} declares {declared}: one scope, or open_to_all()"
        logs_in = any((method, path) in LOGINS for method in getattr(route, "methods", ()) or ())
        assert (declared == [None]) is (path.startswith(OPEN) or logs_in), f"{path} is open, or should be"


async def test_a_socket_declares_its_scope_as_a_route_does() -> None:
    router = APIRouter()

    @router.websocket("/live", dependencies=[requires("read")])
    async def live(_: WebSocket) -> None: ...

    @router.websocket("/other")
    async def other(_: WebSocket) -> None: ...

    assert [declared_scopes(route) for route in router.routes] == [["read"], []]


async def test_no_route_but_health_and_docs_answers_without_a_key(guarded: System) -> None:
    for route, path in routes(guarded):
        if isinstance(route, WebSocketRoute):
            with pytest.raises(Refusal) as refused:
                async with connected(guarded.app, re.sub(r"\{\w+\}", "1", path)):
                    pass
            assert refused.value.status == 401, path
            continue
        if not isinstance(route, Route):
            assert path in PLAIN, f"{path}: is a key needed?"
            continue
        for method in sorted(route.methods or ()):
            answer = await guarded.http.request(method, re.sub(r"\{\w+\}", "1", path))
            if (method, path) in LOGINS:
                assert answer.status_code == 422, "it wants to know who logs in"
            elif path.startswith(OPEN):
                assert answer.status_code in {200, 503}, f"{method} {path}: {answer.status_code}"
            else:
                assert answer.status_code == 401, f"{method} {path}: {answer.status_code} {answer.text}"


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_without_the_scope_is_refused_by_each_route_that_requires_it(guarded: System, scope: Scope) -> None:
    body = {"name": "all but one", "scopes": [each for each in SCOPES if each != scope]}
    made = await guarded.http.post("/api/v1/keys", json=body, headers={"x-api-key": ADMIN_KEY})
    walked = asked(guarded, scope)
    assert walked
    for method, path in walked:
        takes_table = path.endswith("/import") and not path.endswith("/workflows/import")
        kind = "text/csv" if takes_table else "application/json"
        takes_form = path.endswith("/index/file")
        media = {"content-type": "multipart/form-data; boundary=b" if takes_form else kind}
        headers = {"x-api-key": made.json()["key"], **({} if method == "GET" else media)}
        sent = None if method == "GET" else "--b--\r\n" if takes_form else "{}"
        answer = await guarded.http.request(method, path, content=sent, headers=headers)
        assert answer.status_code == 403, f"{method} {path}: {answer.status_code} {answer.text}"
        assert answer.json()["error"]["details"]["scope"] == scope
