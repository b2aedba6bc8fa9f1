"""FastAPI dependencies of routes: page, expected version, caller, fresh views. All async: sync ones need a thread."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from fastapi import Depends, Header, Query, Request, Response
from starlette.routing import BaseRoute

from api.http.caller import Caller
from api.http.idempotency import scoped_key
from api.http.request_context import CURRENT, RequestContext, current
from api.http.schemas import MAX_INT, Pagination
from domain.errors import Forbidden, PreconditionFailed
from domain.keys.ports import Scope

MAX_PAGE = 1000


class Positions(Protocol):
    """The positions of the projections in the ledger."""

    async def wait(self, projection: str) -> bool:
        """Wait until the projection has all events recorded so far, 1 s at most.

        Returns False if it has not by then.
        """
        ...


class NoPositions:
    """The null object of `Positions`: without projections nothing is stale."""

    async def wait(self, projection: str) -> bool:  # noqa: ARG002  (nothing is projected, so nothing is stale)
        return True


@dataclass(frozen=True, slots=True)
class Page:
    """The requested part of a list."""

    skip: int
    limit: int

    def listing_fields(self, total: int) -> dict[str, Any]:
        """Return the fields of a `Listing` besides its items."""
        return {"total": total, "skip": self.skip, "limit": self.limit, "pagination": self.pagination(total)}

    def pagination(self, total: int) -> Pagination:
        """Return the pagination of a list under `data`."""
        return Pagination(
            total=total,
            skip=self.skip,
            limit=self.limit,
            has_next=self.skip + self.limit < total,
            has_prev=self.skip > 0 and total > 0,
        )


async def _page(
    skip: Annotated[int, Query(ge=0, le=MAX_INT - MAX_PAGE, description="Number of items to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Maximum number of items to return.")] = 100,
) -> Page:
    return Page(skip, limit)


@dataclass(frozen=True, slots=True)
class ExpectedVersion:
    """The versions that `If-Match` allows; None allows any."""

    versions: frozenset[int] | None

    def check(self, version: int) -> None:
        """Return if the version is allowed.

        Raises:
            domain.errors.PreconditionFailed: the current version is not one that the caller expects.
        """
        if self.versions is not None and version not in self.versions:
            raise PreconditionFailed(f"the current version is {version}", version=version)


ANY_VERSION = ExpectedVersion(None)
_TAG = re.compile(r'\s*(?:W/)?"([0-9]{1,18})"\s*')


def etag(version: int) -> str:
    """Return the entity tag of a resource at this version.

    It is strong, because `If-Match` compares strongly and a version names exactly one state.
    """
    return f'"{version}"'


def set_etag(response: Response, version: int) -> None:
    """Set the entity tag of the response."""
    response.headers["etag"] = etag(version)


async def _expected_version(
    if_match: Annotated[
        str | None,
        Header(description='The `ETag` that the change is meant for, such as `"3"`; several by commas; `*` for any.'),
    ] = None,
) -> ExpectedVersion:
    """Parse `If-Match`. Weak tags count: compressing proxies weaken strong ones. Unknown tags match nothing."""
    if if_match is None or if_match.strip() == "*":
        return ANY_VERSION
    return ExpectedVersion(frozenset(int(tag[1]) for part in if_match.split(",") if (tag := _TAG.fullmatch(part))))


async def _caller() -> Caller:
    return CURRENT.get().caller


async def _tenant_id() -> str:
    return CURRENT.get().caller.tenant_id


async def _request_id() -> str:
    return CURRENT.get().request_id


async def _idempotency_key() -> str | None:
    return scoped_key(CURRENT.get())


CurrentRequest = Annotated[RequestContext, Depends(current)]
CurrentCaller = Annotated[Caller, Depends(_caller)]
CurrentTenant = Annotated[str, Depends(_tenant_id)]
"""The tenant that the caller acts in."""
RequestId = Annotated[str, Depends(_request_id)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
"""The `Idempotency-Key` as a name that no other tenant, caller, method or path has; None without the header.

It has 64 characters.
"""
Paged = Annotated[Page, Depends(_page)]
IfMatch = Annotated[ExpectedVersion, Depends(_expected_version)]


@dataclass(frozen=True, slots=True)
class DeclaredScope:
    """The scope that a route requires of its caller, or `any`; None where a route is open to all."""

    scope: Scope | Literal["any"] | None

    async def __call__(self) -> None:
        caller = CURRENT.get().caller
        if self.scope == "any":
            if caller.scopes <= {"metrics"}:
                raise Forbidden("this needs any scope but metrics")
        elif self.scope is not None:
            caller.require(self.scope)


def requires(scope: Scope) -> Any:
    """Return a dependency for a route or router that requires a scope of the caller. Every route declares one."""
    return Depends(DeclaredScope(scope))


def open_to_all() -> Any:
    """Return a dependency for a route that answers without a key; `api.http.rate_limit` knows its path, too."""
    return Depends(DeclaredScope(None))


def any_caller() -> Any:
    """Return a dependency for a route that answers every caller who may do more than read figures."""
    return Depends(DeclaredScope("any"))


def declared_scopes(route: BaseRoute) -> list[str | None]:
    """Return what a route or socket and its router declare: one scope or `any`, or None where it is open."""
    declared = [each.dependency for each in getattr(route, "dependencies", ())]
    return [each.scope for each in declared if isinstance(each, DeclaredScope)]


def joins_on_repeat() -> Any:
    """Return a dependency for routes that start work under an id derived from the idempotency key.

    A repeat after a 202 is passed to such a route, which reports the current state of the work.
    """

    async def note() -> None:
        CURRENT.get().joins = True

    return Depends(note)


def fresh(projection: str) -> Any:
    """Return a dependency for routes that read a view: waits until it has caught up, and marks a stale response."""

    async def wait(request: Request) -> None:
        positions: Positions = request.app.state.positions
        if not await positions.wait(projection):
            CURRENT.get().add_header("X-Convergio-Stale", "true")

    return Depends(wait)
