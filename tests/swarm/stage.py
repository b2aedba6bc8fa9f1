"""A swarm's workflow with activities that do as they are told: for what real ones do too seldom to wait for."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.chat.messages import StepRequest, StepResult, TurnFailure
from activities.heartbeat import send_heartbeats
from activities.interceptor import RefusalInterceptor
from activities.swarm.messages import EndSwarmRequest, SwarmMember, SwarmResultParts, SwarmRunRequest, SwarmSettings
from domain.swarm.task import Mode
from runtime.sandbox import QuickSandbox
from workflows.message_guard import WellFormedMessages
from workflows.swarm.messages import SwarmEnd, SwarmStart
from workflows.swarm.workflow import SwarmWorkflow

MEMBERS = ("ada", "bea", "cleo")
CHIEF = "ali"

Run = WorkflowHandle[SwarmWorkflow, SwarmEnd]


@dataclass
class Stage:
    """The activities, and what was asked of them.

    `silent` seats never answer, `failing` ones fail with a code; `shuffled` answers come in any order.
    """

    queue: str = field(default_factory=lambda: f"stage-{uuid4().hex}")
    silent: set[str] = field(default_factory=set)
    failing: dict[str, str] = field(default_factory=dict)
    shuffled: bool = False
    unready: int = 0
    thoughts: list[StepRequest] = field(default_factory=list)
    given_up: list[TurnFailure] = field(default_factory=list)
    written: list[SwarmResultParts] = field(default_factory=list)
    endings: list[EndSwarmRequest] = field(default_factory=list)

    def all(self) -> list[Callable[..., object]]:
        return [self.begin_swarm, self.write_result, self.end_swarm, self.think, self.fail_turn]

    @activity.defn(name="begin_swarm")
    async def begin_swarm(self, asked: SwarmRunRequest) -> SwarmSettings:
        if self.unready:
            self.unready -= 1
            raise ApplicationError("not yet", type="SERVICE_UNAVAILABLE")
        return SwarmSettings(self.queue)

    @activity.defn(name="write_result")
    async def write_result(self, whole: SwarmResultParts) -> str:
        self.written.append(whole)
        raise ApplicationError("a text was erased", type="NotFound", non_retryable=True)

    @activity.defn(name="end_swarm")
    async def end_swarm(self, ending: EndSwarmRequest) -> str | None:
        self.endings.append(ending)
        return "result" if ending.result else None

    @activity.defn(name="think")
    async def think(self, thought: StepRequest) -> StepResult:
        self.thoughts.append(thought)
        name = thought.turn.session_id.partition("/")[2]
        if code := self.failing.get(name):
            raise ApplicationError("told to", type=code, non_retryable=True)
        with send_heartbeats():
            if name in self.silent:
                await asyncio.Event().wait()
            if self.shuffled:
                await asyncio.sleep(random.uniform(0, 0.05))  # noqa: S311  (no secret)
        return StepResult(f"{name}-{thought.turn.turn}", "stop", "a-model", 10, 5, "0", 8192, named=_named(thought))

    @activity.defn(name="fail_turn")
    async def fail_turn(self, given_up: TurnFailure) -> None:
        self.given_up.append(given_up)

    def seats(self) -> list[str]:
        """Who was asked to speak, in order."""
        return [thought.turn.session_id.partition("/")[2] for thought in self.thoughts]


def _named(thought: StepRequest) -> list[str]:
    if thought.shape == "swarm_split":
        return thought.options
    if thought.shape == "swarm_options":
        return ["option_1", "option_2"]
    return thought.options[:1]


def asked(mode: Mode = "parallel", **more: object) -> SwarmRunRequest:
    values = {
        "task_id": f"task_{uuid4().hex}",
        "mode": mode,
        "members": [SwarmMember(member, 1) for member in MEMBERS],
        "coordinator": SwarmMember(CHIEF, 1),
        "key_id": "key_1",
        "because": "req_1",
        "task_hash": "task",
        "rounds": 2,
    }
    return SwarmRunRequest(**{**values, **more})  # type: ignore[arg-type]


async def swarm(client: Client, stage: Stage, wanted: SwarmRunRequest, **more: str) -> Run:
    """A new swarm on this stage."""
    start = SwarmStart(wanted, pause_s=0.01)
    return await client.start_workflow(SwarmWorkflow.run, start, id=wanted.task_id, task_queue=stage.queue, **more)  # type: ignore[call-overload, no-any-return]


@asynccontextmanager
async def performing(client: Client, stage: Stage, *, cached: int = 100) -> AsyncIterator[Stage]:
    """A worker that performs on this stage, for the block. With nothing `cached` each task replays the whole run."""
    async with Worker(
        client,
        task_queue=stage.queue,
        workflows=[SwarmWorkflow],
        activities=stage.all(),
        workflow_runner=QuickSandbox(),
        max_cached_workflows=cached,
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        default_heartbeat_throttle_interval=timedelta(milliseconds=100),
        interceptors=[RefusalInterceptor(), WellFormedMessages()],
    ):
        yield stage
