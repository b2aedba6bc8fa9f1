"""A chat's workflow with activities that do as they are told: for what real ones do too seldom to wait for."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.chat.messages import (
    EndSessionRequest,
    KnownTurn,
    OpenSessionRequest,
    SessionHead,
    StepRequest,
    StepResult,
    Summary,
    SummaryRequest,
    TurnFailure,
)
from activities.heartbeat import send_heartbeats
from activities.interceptor import RefusalInterceptor
from runtime.sandbox import QuickSandbox
from workflows.chat.messages import ChatMessage, ChatStart
from workflows.chat.workflow import ChatWorkflow
from workflows.message_guard import WellFormedMessages

AGENT = "an_agent"
KEY = "key_1"


@dataclass
class Stage:
    """The activities, and what was asked of them. `hold` keeps thinking and ending from getting on."""

    queue: str = field(default_factory=lambda: f"stage-{uuid4().hex}")
    head: SessionHead | None = None
    answer: StepResult = field(default_factory=lambda: StepResult("hash", "stop", "a-model", 10, 5, "0.25", 8192))
    failures: deque[ApplicationError] = field(default_factory=deque)
    summaries: deque[Summary | ApplicationError] = field(default_factory=deque)
    thinking_goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    ending_goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    opened: list[OpenSessionRequest] = field(default_factory=list)
    thoughts: list[StepRequest] = field(default_factory=list)
    given_up: list[TurnFailure] = field(default_factory=list)
    endings: list[EndSessionRequest] = field(default_factory=list)
    summarised: list[SummaryRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thinking_goes_on.set()
        self.ending_goes_on.set()

    def all(self) -> list[Callable[..., object]]:
        return [self.open_session, self.think, self.fail_turn, self.end_session, self.summarise]

    @activity.defn(name="open_session")
    async def open_session(self, opening: OpenSessionRequest) -> SessionHead:
        self.opened.append(opening)
        head = self.head or SessionHead(
            AGENT, KEY, ended=False, turn=0, first=1, summary_hash=None, recent=[], model_queue=""
        )
        recent = [KnownTurn(t.turn.turn, t.turn.message_id, completed=True, reply_hash="hash") for t in self.thoughts]
        turn = max((thought.turn.turn for thought in self.thoughts), default=head.turn)
        ended = head.ended or bool(self.endings)
        return replace(head, ended=ended, turn=turn, recent=[*head.recent, *recent][-20:], model_queue=self.queue)

    @activity.defn(name="think")
    async def think(self, thought: StepRequest) -> StepResult:
        self.thoughts.append(thought)
        with send_heartbeats():
            await self.thinking_goes_on.wait()
        if self.failures:
            raise self.failures.popleft()
        return self.answer

    @activity.defn(name="fail_turn")
    async def fail_turn(self, given_up: TurnFailure) -> None:
        self.given_up.append(given_up)

    @activity.defn(name="end_session")
    async def end_session(self, ending: EndSessionRequest) -> None:
        await self.ending_goes_on.wait()
        self.endings.append(ending)

    @activity.defn(name="summarise")
    async def summarise(self, wanted: SummaryRequest) -> Summary:
        self.summarised.append(wanted)
        outcome = self.summaries.popleft() if self.summaries else Summary(wanted.upto, "summary")
        if isinstance(outcome, ApplicationError):
            raise outcome
        return outcome


Chat = WorkflowHandle[ChatWorkflow, None]


async def chat(client: Client, stage: Stage, **more: Any) -> Chat:
    """A new chat on this stage."""
    session_id = f"session_{uuid4().hex}"
    start = replace(ChatStart(session_id, AGENT, KEY, "req_1", pause_s=0.01), **more)
    return await client.start_workflow(ChatWorkflow.run, start, id=f"chat-{session_id}", task_queue=stage.queue)


def saying(message_id: str, **more: Any) -> ChatMessage:
    return replace(ChatMessage(message_id, f"hash-of-{message_id}", AGENT, 1, KEY, "req_1"), **more)


@asynccontextmanager
async def performing(client: Client, stage: Stage) -> AsyncIterator[Stage]:
    """A worker that performs on this stage, for the block."""
    async with Worker(
        client,
        task_queue=stage.queue,
        workflows=[ChatWorkflow],
        activities=stage.all(),
        workflow_runner=QuickSandbox(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        default_heartbeat_throttle_interval=timedelta(milliseconds=100),
        interceptors=[RefusalInterceptor(), WellFormedMessages()],
    ):
        yield stage
