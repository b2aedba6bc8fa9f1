"""Routes of exports: JSON lines that can be verified offline."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool

from api.chat.schemas import SessionId
from api.http.dependencies import CurrentTenant, fresh, requires
from api.signatures.export_service import ExportService

MEDIA_TYPE = "application/x-ndjson"
_LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One JSON object a line.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
    }
}
_Id = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9._~-]+$")]


def router(exports: ExportService) -> APIRouter:
    """Build the routes of exports, below the routes of what they export."""
    routes = APIRouter(prefix="/api/v1", default_response_class=StreamingResponse)

    @routes.get(
        "/agents/chat/{session_id}/export",
        tags=["AI Agents"],
        responses=_LINES,
        dependencies=[requires("read"), fresh("chat"), fresh("approvals")],
    )
    async def export_session(session_id: SessionId, tenant_id: CurrentTenant) -> StreamingResponse:
        """Exports the answers of a session as signed JSON lines, the end last. Erased texts are null."""
        return await _stream(lambda: exports.session(tenant_id, session_id))

    @routes.get(
        "/swarm/{task_id}/export",
        tags=["Swarm Coordination"],
        responses=_LINES,
        dependencies=[requires("read"), fresh("swarm"), fresh("chat"), fresh("approvals")],
    )
    async def export_swarm(task_id: _Id, tenant_id: CurrentTenant) -> StreamingResponse:
        """Exports the answers and the result of a swarm as signed JSON lines, the end last. Erased texts are null."""
        return await _stream(lambda: exports.swarm(tenant_id, task_id))

    @routes.get(
        "/workflows/{workflow_id}/executions/{execution_id}/export",
        tags=["Workflows"],
        responses=_LINES,
        dependencies=[requires("read"), fresh("executions"), fresh("chat"), fresh("approvals")],
    )
    async def export_execution(workflow_id: _Id, execution_id: _Id, tenant_id: CurrentTenant) -> StreamingResponse:
        """Exports the answers and the output of an execution as signed JSON lines. Erased texts are null."""
        return await _stream(lambda: exports.execution(tenant_id, workflow_id, execution_id))

    return routes


async def _stream(export: Callable[[], Iterator[bytes]]) -> StreamingResponse:
    """Read the first line before the response starts, so that a database that is away is a 503."""

    def begin() -> Iterator[bytes]:
        lines = export()
        return chain([next(lines)], lines)

    return StreamingResponse(_lines(await run_in_threadpool(begin)), media_type=MEDIA_TYPE)


async def _lines(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    async for line in iterate_in_threadpool(lines):
        yield line
