"""Stores of live frames on real servers, and sessions written by hand."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from redis.asyncio import Redis

from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.live.call_counts import PostgresCallCounts
from adapters.postgres.live.stream_events import PostgresStreamEvents
from adapters.redis.live.publisher import RedisLivePublisher
from adapters.redis.live.reader import RedisLiveReads
from api.live.chat_timeline import ChatTimeline
from api.live.cursor import CursorFactory, FrameStores
from domain.chat import events
from domain.chat.sessions import session_stream
from domain.chat.turns import turn_stream
from domain.content import Content, content_hash
from domain.events import Event
from domain.ids import call_id
from domain.ledger import Change, Ledger
from domain.live.frames import Frame
from domain.live.ports import LiveCall
from domain.registry import event_registry

SESSION = "session-of-frames"
CAUSE = {"by": "key", "because": "request", "at": datetime(2026, 1, 1, tzinfo=UTC)}
SPENT = {"prompt_tokens": 1, "completion_tokens": 1, "cost": Decimal("0.000001")}


class Stage:
    """A session whose events are written by hand, and the stores around it."""

    def __init__(self, database: Database, redis_url: str) -> None:
        self.registry = event_registry()
        self.ledger = Ledger(LedgerRecorder(database), self.registry)
        self.content = PostgresContent(database)
        self.counts = PostgresCallCounts(database)
        self.events = PostgresStreamEvents(database, self.registry)
        self.publisher = RedisLivePublisher.connect(redis_url)
        self.reads = RedisLiveReads.connect(redis_url)
        self.client = Redis.from_url(redis_url)
        self._versions: dict[str, int] = {}

    async def aclose(self) -> None:
        for each in (self.publisher, self.reads, self.client):
            await each.aclose()

    def factory(self, *, live: bool = True) -> CursorFactory:
        stores = FrameStores(self.content, self.counts, self.reads if live else None)
        return CursorFactory(ChatTimeline, self.events.of_session, stores)

    def append(self, stream: str, event: Event) -> None:
        version = self._versions.get(stream, 0)
        self.ledger.append(Change(stream, version, [event]), key=f"{stream}:{version}")
        self._versions[stream] = version + 1

    def open_session(self) -> None:
        opened = events.SessionOpened(
            session_id=SESSION, agent_id="ada", key_id="key", workflow_id=f"chat-{SESSION}", **CAUSE
        )
        self.append(session_stream(SESSION), opened)

    def start(self, turn: int) -> None:
        fields = {"session_id": SESSION, "turn": turn, "message_id": f"message-{turn}", "message_hash": "0" * 64}
        started = events.TurnStarted(**fields, agent_id="ada", agent_version=1, model="m", **CAUSE)
        self.append(turn_stream(SESSION, turn), started)

    def step(self, turn: int, step: int) -> None:
        fields = {"session_id": SESSION, "turn": turn, "message_id": f"message-{turn}", "step": step}
        self.append(turn_stream(SESSION, turn), events.TurnStepped(**fields, reply_hash="0" * 64, **SPENT, **CAUSE))

    def answer(self, turn: int, text: str) -> None:
        self.content.put(Content(SESSION, text))
        fields = {"session_id": SESSION, "turn": turn, "message_id": f"message-{turn}"}
        answered = events.TurnAnswered(
            **fields, reply_hash=content_hash(text), finish="stop", model="m", **SPENT, **CAUSE
        )
        self.append(turn_stream(SESSION, turn), answered)

    def call(self, turn: int, step: int = 1) -> LiveCall:
        return LiveCall(SESSION, call_id(f"message-{turn}", step), turn, step)

    async def stream(self, turn: int, *pieces: str, attempt: int = 1, step: int = 1) -> None:
        """Write pieces of an answer, each as a frame of its own."""
        writer = self.publisher.writer(self.call(turn, step), attempt)
        for piece in pieces:
            writer.write(piece)
            await writer_idle(writer)
        await writer.finish()

    async def read(self, after: int = 0, *, live: bool = True) -> list[Frame]:
        """What a reader gets who comes now."""
        return await self.factory(live=live).cursor(SESSION, after=after).advance()


async def writer_idle(writer: object) -> None:
    """Wait until the writer has sent what it was given."""
    held = SimpleNamespace(task=getattr(writer, "_task", None))
    if held.task is not None:
        await held.task


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.open()
    yield database
    database.close()


@pytest.fixture
async def stage(database: Database, redis_url: str) -> AsyncIterator[Stage]:
    stage = Stage(database, redis_url)
    await stage.client.flushdb()
    yield stage
    await stage.aclose()
