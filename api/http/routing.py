"""Routes without path parameters are found by one dictionary lookup."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send


class LiteralRoutes(BaseRoute):
    """Precedes all other routes. A literal path wins over one with an id in the same place.

    That includes methods it lacks: `GET /agents/chat` is a 405, not an agent named chat.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._named: dict[str, dict[str, Route]] = {}
        for route in routes:
            if isinstance(route, Route) and "{" not in route.path:
                for method in route.methods or ():
                    self._named.setdefault(route.path, {}).setdefault(method, route)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        named = self._named.get(scope["path"]) if scope["type"] == "http" else None
        if not named:
            return Match.NONE, {}
        route = named.get(scope["method"]) or next(iter(named.values()))
        match, child_scope = route.matches(scope)
        child_scope["route"] = route
        return (Match.NONE if match is Match.NONE else Match.FULL), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)


def methods_of(routes: Iterable[BaseRoute], scope: Scope) -> list[str]:
    """Return all methods of the path, those of the most specific template if several match."""
    scope = {**scope, "path_params": {}}
    found: dict[str, set[str]] = {}
    for route in routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found.setdefault(route.path, set()).update(route.methods or ())
            if "GET" in found[route.path]:
                found[route.path].add("HEAD")
    return sorted(found[min(found, key=lambda path: path.count("{"))]) if found else []
