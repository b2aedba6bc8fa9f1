"""A small API behind the whole web layer, and clients for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from adapters.memory.idempotency import MemoryAnswers
from adapters.memory.keys import MemoryKeys
from api.app import ApiParts, ApiSettings, create_app
from api.http.api_keys import ADMIN, key_hash
from api.http.dependencies import CurrentCaller, IdempotencyKey, IfMatch, Paged, RequestId, fresh, requires, set_etag
from api.http.schemas import Body, DeletedResource, Listing, Money, Timestamp, View
from domain.errors import Conflict, NotFound, OverBudget, Unavailable, UpstreamFailed

SECRET = "cvg_" + "a" * 40
WITH_ADMIN = {key_hash(SECRET): ADMIN}
BASE = "http://localhost:8000"


class NewThing(Body):
    name: str = Field(min_length=1, max_length=50)
    size: int = Field(default=1, ge=0, le=1000)
    tags: tuple[str, ...] = ()
    context: dict[str, Any] = Field(default_factory=dict)


class Thing(View):
    id: int
    name: str
    version: int
    price: Money
    created_at: Timestamp


class Things(Listing):
    things: list[Thing]


class Who(View):
    caller: str
    request_id: str
    key: str | None


def thing(number: int, name: str = "lamp", version: int = 1) -> Thing:
    moment = datetime.fromisoformat("2026-01-02T03:04:05+01:00")
    return Thing(id=number, name=name, version=version, price=Decimal("1.23456789"), created_at=moment)


class Toy:
    """What the routes do is counted in `made`; `gate` holds a slow POST until it is set."""

    def __init__(self) -> None:
        self.made = 0
        self.fail: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api/v1/things", tags=["Admin"])
        self._reading(routes)
        self._writing(routes)
        return routes

    def _reading(self, routes: APIRouter) -> None:
        @routes.get("", dependencies=[fresh("things")])
        async def listed(page: Paged) -> Things:
            """All things."""
            return Things(things=[thing(page.skip + 1)], **page.listing_fields(250))

        @routes.get("/who")
        async def who(caller: CurrentCaller, request_id: RequestId, key: IdempotencyKey) -> Who:
            """Who asks."""
            return Who(caller=caller.id, request_id=request_id, key=key)

        @routes.get("/stream")
        async def stream() -> StreamingResponse:
            """In pieces."""
            return StreamingResponse(_pieces(), media_type="application/json")

        @routes.get("/{number}")
        async def one(number: int, response: Response) -> Thing:
            """One thing."""
            if number == 404:
                raise NotFound("there is no such thing", id=number)
            set_etag(response, 3)
            return thing(number, version=3)

    def _writing(self, routes: APIRouter) -> None:
        @routes.post("", status_code=201)
        async def make(new: NewThing, response: Response) -> Thing:
            """Make a thing."""
            self.made += 1
            made = thing(self.made, new.name)
            await self.gate.wait()
            if self.fail:
                raise self.fail
            response.headers["location"] = f"/api/v1/things/{made.id}"
            set_etag(response, made.version)
            return made

        @routes.post("/stream")
        async def streamed() -> StreamingResponse:
            """Made in pieces."""
            self.made += 1
            return StreamingResponse(_pieces(), media_type="application/json")

        @routes.post("/key")
        async def key(key: IdempotencyKey) -> str | None:
            """The scoped key."""
            return key

        @routes.delete("/{number}")
        async def drop(number: int, expected: IfMatch) -> DeletedResource:
            """Drop a thing at version 3."""
            if number != 7:
                raise NotFound("there is no such thing", id=number)
            expected.check(3)
            return DeletedResource(id=str(number))

        @routes.post("/admin", dependencies=[requires("admin")])
        async def admin(caller: CurrentCaller) -> str:
            """For admins."""
            return caller.id

        @routes.get("/fail/{how}")
        async def fail(how: str) -> None:
            """Fail as asked."""
            raise FAILURES[how]


FAILURES: dict[str, Exception] = {
    "conflict": Conflict("it is so already", standing="approved"),
    "budget": OverBudget("over the limit", limit_usd=1),
    "upstream": UpstreamFailed("the model said no"),
    "away": Unavailable("the database cannot be reached", retry_after=7),
    "timeout": TimeoutError("select secret from hidden"),
    "refused": ConnectionRefusedError("10.0.0.1:5432 password=secret"),
    "bug": RuntimeError("secret at line 3"),
    "cut": RuntimeError("never reached"),
}


async def _pieces() -> AsyncIterator[bytes]:
    yield b'{"pieces":'
    yield b"2}"


def parts(toy: Toy, **changes: Any) -> ApiParts:
    """`changes` go to the settings where they name one, else to the parts; `keys` are by their hashes."""
    settings, keys = ApiSettings(version="9.9.9"), MemoryKeys(changes.pop("keys", {}))
    known = {name: value for name, value in changes.items() if name in ApiSettings.__dataclass_fields__}
    others = {name: value for name, value in changes.items() if name not in known}
    settings = replace(settings, **known)
    usual = {"settings": settings, "answers": MemoryAnswers(), "keys": keys, "routers": (toy.router(),)}
    return ApiParts(**{**usual, **others})


def toy_app(toy: Toy | None = None, **changes: Any) -> FastAPI:
    return create_app(parts(toy or Toy(), **changes))


@asynccontextmanager
async def client(app: FastAPI, address: str = "10.0.0.1", base: str = BASE) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, client=(address, 50000))
    async with httpx.AsyncClient(transport=transport, base_url=base) as opened:
        yield opened


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error of an answer that must be a refusal in the envelope."""
    envelope = answer.json()
    assert (answer.status_code, envelope["error"]["code"]) == (status, code), answer.text
    assert set(envelope) >= {"success", "error", "timestamp", "request_id"}
    assert envelope["success"] is False
    assert set(envelope["error"]) == {"code", "message", "details"}
    assert envelope["request_id"] == answer.headers["x-request-id"]
    error: dict[str, Any] = envelope["error"]
    return error
