"""What routes ask for: the page, the expected version, the caller, fresh views. All async: sync ones cost a thread."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from fastapi import Depends, Header, Query, Request, Response

from api.http.caller import Caller, Scope
from api.http.idempotency import scoped_key
from api.http.request_context import CURRENT, RequestContext, current
from api.http.schemas import MAX_INT, Pagination
from domain.errors import PreconditionFailed

MAX_PAGE = 1000


class Positions(Protocol):
    """Where the projections stand."""

    async def wait(self, projection: str) -> bool:
        """Wait, 1 s at most, until the projection has seen all that was recorded. False when it has not by then."""
        ...


class NoPositions:
    """The null object of `Positions`: nothing is projected, so nothing is stale."""

    async def wait(self, projection: str) -> bool:  # noqa: ARG002  (every projection is as fresh as the next)
        return True


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    skip: int
    limit: int

    def of(self, total: int) -> dict[str, Any]:
        """What a `Listing` needs besides its items: `TalentList(talents=rows, **page.of(total))`."""
        return {"total": total, "skip": self.skip, "limit": self.limit, "pagination": self.pagination(total)}

    def pagination(self, total: int) -> Pagination:
        """What a list under `data` has beside it."""
        return Pagination(
            total=total,
            skip=self.skip,
            limit=self.limit,
            has_next=self.skip + self.limit < total,
            has_prev=self.skip > 0 and total > 0,
        )


async def _page(
    skip: Annotated[int, Query(ge=0, le=MAX_INT - MAX_PAGE, description="Items to leave out from the start.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="The most items to return.")] = 100,
) -> Page:
    return Page(skip, limit)


@dataclass(frozen=True, slots=True)
class Expected:
    """The versions that `If-Match` allows; None means any."""

    versions: frozenset[int] | None

    def check(self, version: int) -> None:
        """Refuse another version than the expected.

        Raises:
            domain.errors.PreconditionFailed: the version that stands is not the one the caller knows.
        """
        if self.versions is not None and version not in self.versions:
            raise PreconditionFailed(f"the version that stands is {version}", version=version)


ANY_VERSION = Expected(None)
_TAG = re.compile(r'\s*(?:W/)?"([0-9]{1,18})"\s*')


def etag(version: int) -> str:
    """The entity tag of a resource at this version.

    It is strong, because `If-Match` compares strongly and a version names exactly one state.
    """
    return f'"{version}"'


def set_etag(response: Response, version: int) -> None:
    """Send the entity tag with the answer."""
    response.headers["etag"] = etag(version)


async def _expected(
    if_match: Annotated[
        str | None,
        Header(description='The `ETag` that the change is meant for, such as `"3"`; several by commas; `*` for any.'),
    ] = None,
) -> Expected:
    """Weak tags count too: proxies that compress make strong tags weak. What is no tag of ours matches nothing."""
    if if_match is None or if_match.strip() == "*":
        return ANY_VERSION
    return Expected(frozenset(int(tag[1]) for part in if_match.split(",") if (tag := _TAG.fullmatch(part))))


async def _caller() -> Caller:
    return CURRENT.get().caller


async def _request_id() -> str:
    return CURRENT.get().request_id


async def _idempotency_key() -> str | None:
    return scoped_key(CURRENT.get())


CurrentRequest = Annotated[RequestContext, Depends(current)]
CurrentCaller = Annotated[Caller, Depends(_caller)]
RequestId = Annotated[str, Depends(_request_id)]
IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
"""The `Idempotency-Key` as a name that no other caller, method or path has (64 characters); None without the header."""
Paged = Annotated[Page, Depends(_page)]
IfMatch = Annotated[Expected, Depends(_expected)]


def requires(scope: Scope) -> Any:
    """A dependency for a route or router: the caller's key must have this scope."""

    async def check() -> None:
        CURRENT.get().caller.require(scope)

    return Depends(check)


def joined_by_repeats() -> Any:
    """A dependency for routes that start work under an id made of the idempotency key.

    A repeat after a 202 is let through to them, to tell how the work stands then.
    """

    async def note() -> None:
        CURRENT.get().joins = True

    return Depends(note)


def fresh(projection: str) -> Any:
    """A dependency for routes that read a view: wait for it to catch up, and say so when it has not."""

    async def wait(request: Request) -> None:
        positions: Positions = request.app.state.positions
        if not await positions.wait(projection):
            CURRENT.get().add_header("X-Convergio-Stale", "true")

    return Depends(wait)
