"""The streams that can be watched, and who may watch them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from api.chat.service import ChatService
from api.graphflow.execution_service import ExecutionLocator, ExecutionService
from api.live.cursor import CursorFactory
from api.live.feeds import EncodedFrame, StreamFeed, StreamPart, read_stream
from api.live.hub import LiveHub
from api.swarm.service import SwarmService
from domain.chat.ports import ChatReads
from domain.errors import NotFound, Unavailable
from domain.tenant_ids import qualified


@dataclass(frozen=True, slots=True)
class StreamKinds:
    """The cursors of each kind of streams."""

    sessions: CursorFactory
    swarms: CursorFactory
    executions: CursorFactory


class LiveStreams:
    """Finds streams, by the same rules as the routes that read what they show."""

    def __init__(
        self,
        hub: LiveHub,
        kinds: StreamKinds,
        *,
        chats: ChatService,
        sessions: ChatReads,
        swarms: SwarmService,
        executions: ExecutionService,
    ) -> None:
        self._hub = hub
        self._kinds = kinds
        self._chats = chats
        self._sessions = sessions
        self._swarms = swarms
        self._executions = executions

    async def session(self, session_id: str) -> "WatchedStream":
        """Return the stream of a session that exists; its id names its tenant.

        Raises:
            NotFound: there is no such session.
            Unavailable: nobody can say whether there is.
        """
        if await asyncio.to_thread(self._sessions.session, session_id) is None:
            standing = await self._chats.read_state(session_id)
            if standing.is_open is None:
                raise Unavailable("it cannot be determined now whether the session exists")
            if not standing.is_open:
                raise NotFound("there is no such session")
        return self.new_session(session_id)

    def new_session(self, session_id: str) -> "WatchedStream":
        """Return the stream of a session that may not exist yet."""
        return WatchedStream(self._hub, session_id, self._kinds.sessions)

    async def swarm(self, task_id: str, tenant_id: str) -> "WatchedStream":
        """Return the stream of a swarm.

        Raises:
            NotFound: there is none in this tenant.
        """
        seen = await self._swarms.read(task_id, tenant_id=tenant_id)
        return WatchedStream(self._hub, seen.row.task_id, self._kinds.swarms)

    async def execution(self, workflow_id: str, execution_id: str | None, tenant_id: str) -> "WatchedStream":
        """Return the stream of an execution, the newest one by default.

        Raises:
            NotFound: there is none in this tenant.
        """
        if execution_id is None:
            seen = await self._executions.read_newest(tenant_id, workflow_id)
        else:
            seen = await self._executions.read(ExecutionLocator(workflow_id, execution_id, tenant_id))
        return WatchedStream(self._hub, seen.row.execution_id, self._kinds.executions)

    async def close(self) -> None:
        """End all streams; clients resume elsewhere."""
        await self._hub.close()


@dataclass(frozen=True, slots=True)
class WatchedStream:
    """One stream, by its id among those of all tenants."""

    hub: LiveHub
    stream: str
    factory: CursorFactory

    @property
    def has_deltas(self) -> bool:
        """Return True as far as it is known that live frames can be shown."""
        return self.factory.stores.live is not None

    def watch(self) -> AbstractAsyncContextManager[StreamFeed]:
        return self.hub.watch(self.stream, self.factory)

    async def batches(self, part: StreamPart) -> AsyncGenerator[list[EncodedFrame], None]:
        """Yield the frames of a part of it; see `read_stream`."""
        async with self.watch() as feed:
            async for batch in read_stream(feed, part):
                yield batch


def session_in_tenant(tenant_id: str, session_id: str) -> str:
    """Return a session's id among those of all tenants."""
    return qualified(tenant_id, session_id)
