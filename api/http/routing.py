"""Routes without path parameters are found by one look-up, however many routes there are."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send


class Literals(BaseRoute):
    """Stands before all other routes. A path that is named wins over one where the name could be an id.

    That holds for the methods it lacks as well: `GET /agents/chat` is a 405, not an agent called chat.
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
    """The methods of the path, all of them: of the most specific template where several match."""
    scope = {**scope, "path_params": {}}
    found: dict[str, set[str]] = {}
    for route in routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found.setdefault(route.path, set()).update(route.methods or ())
            if "GET" in found[route.path]:
                found[route.path].add("HEAD")
    return sorted(found[min(found, key=lambda path: path.count("{"))]) if found else []
