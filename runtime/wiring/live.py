"""Composes streams and sockets on the parts of this deployment."""

from dataclasses import dataclass

from fastapi import APIRouter

from adapters.postgres.figures.analytics import PostgresAnalytics
from adapters.postgres.live.call_counts import PostgresCallCounts
from adapters.postgres.live.stream_events import PostgresStreamEvents
from adapters.redis.live.reader import RedisLiveReads
from api.analytics.service import AnalyticsService
from api.http.api_keys import KeyAuthenticator
from api.http.server import max_connections
from api.live import socket_routes, stream_routes
from api.live.access import CallerWatch
from api.live.chat_timeline import ChatTimeline
from api.live.cursor import CursorFactory, FrameStores
from api.live.execution_timeline import ExecutionTimeline
from api.live.hub import LiveHub
from api.live.service import LiveStreams, StreamKinds
from api.live.sockets import MAX_SOCKETS, SocketCount
from api.live.swarm_timeline import SwarmTimeline
from runtime.settings import Settings
from runtime.wiring.access import Access
from runtime.wiring.parts import Parts, now
from runtime.wiring.run_services import RunServices


@dataclass(frozen=True, slots=True)
class Live:
    """The streams of an API process. Close it before the database and the check of keys."""

    routers: tuple[APIRouter, ...]
    watch: CallerWatch
    streams: LiveStreams
    reads: RedisLiveReads | None

    async def close(self) -> None:
        await self.streams.close()
        if self.reads is not None:
            await self.reads.aclose()


def make_live(settings: Settings, parts: Parts, access: Access, services: RunServices) -> Live:
    """Return streams and sockets. Not after the start of `access`, which tells of revoked keys."""
    reads = RedisLiveReads.connect(settings.redis_url) if settings.redis_url and settings.stream_answers else None
    events = PostgresStreamEvents(parts.database, parts.registry)
    stores = FrameStores(parts.content, PostgresCallCounts(parts.database), reads)
    streams = LiveStreams(
        LiveHub(events, reads),
        StreamKinds(
            sessions=CursorFactory(ChatTimeline, events.of_session, stores),
            swarms=CursorFactory(SwarmTimeline, events.of_swarm, stores),
            executions=CursorFactory(ExecutionTimeline, events.of_execution, stores),
        ),
        chats=services.chats,
        sessions=parts.chats,
        swarms=services.swarms,
        executions=services.executions,
    )
    watch = CallerWatch(
        KeyAuthenticator(access.keys, required=settings.auth_on, tokens=access.tokens, sessions=access.sessions)
    )
    access.changes.follow(watch)
    sockets = socket_routes.SocketServices(
        streams,
        services.chats,
        parts.agents,
        AnalyticsService(PostgresAnalytics(parts.database), parts.agents, now),
        watch,
        # half of the connections at most, so that sockets lock no request out
        SocketCount(min(MAX_SOCKETS, max_connections() // 2)),
    )
    return Live((stream_routes.router(streams, watch), socket_routes.router(sockets)), watch, streams, reads)
