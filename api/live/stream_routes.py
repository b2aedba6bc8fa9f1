"""Routes of streams as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import StreamingResponse

from api.chat.schemas import SessionId
from api.graphflow.paths import PREFIX, RUN_ID, WorkflowId
from api.http.dependencies import CurrentRequest, CurrentTenant, fresh, requires
from api.http.request_context import RequestContext
from api.http.schemas import MAX_INT
from api.live.access import CallerWatch
from api.live.feeds import EncodedFrame, StreamPart, error_frame
from api.live.service import LiveStreams, WatchedStream
from domain.errors import DomainError, Invalid, Unauthenticated

_KEEP_ALIVE = b": keep-alive\n\n"
_TaskId = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9._~-]+$")]
_ExecutionId = Annotated[str, Path(max_length=128, pattern=RUN_ID)]
_After = Annotated[int | None, Query(ge=0, le=MAX_INT, description="Frames behind this number only.")]
_LastEventId = Annotated[
    str | None, Header(max_length=32, description="The id of the last event received; it replaces `after`.")
]
_Follow = Annotated[bool, Query(description="Go on with the next turn when one has ended, until the session ends.")]
_Wait = Annotated[bool, Query(description="False: end with the frames that there are now.")]
_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {
        "description": (
            "Server-sent events. The data of each is a frame `{seq, type, data, timestamp}`, its id is `seq`; frames "
            "about the connection have `seq: null` and no id."
        ),
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def router(streams: LiveStreams, watch: CallerWatch) -> APIRouter:
    """Build the routes `…/stream` of sessions, swarms and executions."""
    routes = APIRouter(prefix="/api/v1")
    _add_session_route(routes, streams, watch)
    _add_run_routes(routes, streams, watch)
    return routes


def _add_session_route(routes: APIRouter, streams: LiveStreams, watch: CallerWatch) -> None:
    @routes.get(
        "/agents/chat/{session_id}/stream",
        tags=["AI Agents"],
        response_class=StreamingResponse,
        responses=_RESPONSES,
        dependencies=[requires("read")],
    )
    async def stream_session(
        session_id: SessionId,
        request: CurrentRequest,
        after: _After = None,
        last_event_id: _LastEventId = None,
        *,
        follow: _Follow = False,
        wait: _Wait = True,
    ) -> StreamingResponse:
        """Streams a session: its turns with pieces of answers, tool calls and approvals; it ends when no turn is left.

        A client that comes back with `Last-Event-ID` gets every frame that it has not seen, and none twice.
        """
        wanted = _first(after, last_event_id)
        return _respond(await streams.session(session_id), request, watch, StreamPart(wanted, follow=follow, wait=wait))


def _add_run_routes(routes: APIRouter, streams: LiveStreams, watch: CallerWatch) -> None:
    @routes.get(
        "/swarm/{task_id}/stream",
        tags=["Swarm Coordination"],
        response_class=StreamingResponse,
        responses=_RESPONSES,
        dependencies=[requires("read"), fresh("swarm")],
    )
    async def stream_swarm(
        task_id: _TaskId,
        request: CurrentRequest,
        tenant_id: CurrentTenant,
        *,
        after: _After = None,
        last_event_id: _LastEventId = None,
        wait: _Wait = True,
    ) -> StreamingResponse:
        """Streams a swarm: the turns of its members as they begin and end, approvals, and its result; then it ends."""
        found = await streams.swarm(task_id, tenant_id)
        return _respond(found, request, watch, StreamPart(_first(after, last_event_id), wait=wait))

    @routes.get(
        f"{PREFIX.removeprefix('/api/v1')}/{{workflow_id}}/executions/{{execution_id}}/stream",
        tags=["Workflows"],
        response_class=StreamingResponse,
        responses=_RESPONSES,
        dependencies=[requires("read"), fresh("executions")],
    )
    async def stream_execution(
        workflow_id: WorkflowId,
        execution_id: _ExecutionId,
        request: CurrentRequest,
        tenant_id: CurrentTenant,
        *,
        after: _After = None,
        last_event_id: _LastEventId = None,
        wait: _Wait = True,
    ) -> StreamingResponse:
        """Streams an execution: the states of its nodes as they change, and its result; then it ends."""
        found = await streams.execution(workflow_id, execution_id, tenant_id)
        return _respond(found, request, watch, StreamPart(_first(after, last_event_id), wait=wait))


def _first(after: int | None, last_event_id: str | None) -> int:
    """Return the number behind which the stream begins.

    Raises:
        Invalid: the header is not the id of an event.
    """
    if last_event_id is None or last_event_id == "":
        return after or 0
    if not last_event_id.isascii() or not last_event_id.isdecimal() or len(last_event_id) > 18:  # noqa: PLR2004  (64 bits)
        raise Invalid("Last-Event-ID is not the id of an event", field="Last-Event-ID")
    return int(last_event_id)


def _respond(stream: WatchedStream, request: RequestContext, watch: CallerWatch, part: StreamPart) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    headers["x-convergio-deltas"] = "available" if stream.has_deltas else "unavailable"
    body = _body(stream, request, watch, part) if request.method != "HEAD" else _no_bytes()
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)


async def _no_bytes() -> AsyncIterator[bytes]:
    yield b""


async def _body(
    stream: WatchedStream, request: RequestContext, watch: CallerWatch, part: StreamPart
) -> AsyncIterator[bytes]:
    """Yield the events; a refusal in the middle is the last one."""
    revoked = asyncio.create_task(watch.until_revoked(request.given, request.caller))
    batches = stream.batches(part)
    coming: asyncio.Task[list[EncodedFrame]] | None = None
    try:
        yield b": stream\n\n"  # so that the response begins before there is a frame
        while True:
            coming = asyncio.ensure_future(anext(batches))
            await asyncio.wait({coming, revoked}, return_when=asyncio.FIRST_COMPLETED)
            if revoked.done():
                raise Unauthenticated("this key is no longer in force")
            yield b"".join(_event(frame) for frame in coming.result()) or _KEEP_ALIVE
    except StopAsyncIteration:
        return
    except (DomainError, TimeoutError) as error:
        yield _event(error_frame(error))
    finally:
        revoked.cancel()
        if coming is not None and not coming.done():
            coming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration, DomainError):
                await coming
        await batches.aclose()


def _event(frame: EncodedFrame) -> bytes:
    head = b"id: %d\n" % frame.seq if frame.seq is not None else b""
    return b"%sdata: %s\n\n" % (head, frame.json)
