"""Execution service: starts, reads and controls executions, and delivers events to them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from activities.graphflow.execution_activities import START_KEY, reopen_key
from activities.graphflow.execution_stream import append_key
from activities.graphflow.messages import RunControlRequest, RunRequest, RunStart, request_of
from api.graphflow.execution_responses import ExecutionRef, to_ref
from api.graphflow.execution_submission import ExecutionSubmission, SubmissionStore, initial_view, store_json
from api.runs.context import RunContext
from api.runs.run_access import RunAccess, RunKind
from domain.errors import Conflict, Invalid, NotFound, Unavailable
from domain.events import Cause
from domain.graphflow.catalogue.commands import WorkflowCommands
from domain.graphflow.definition.model import Definition, WaitNode
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.events import RunReopened
from domain.graphflow.execution.ports import ExecutionView, RunReads
from domain.graphflow.execution.views import ExecutionRow
from domain.ids import derived_hex, random_id
from domain.revocations import RevocableWork
from domain.tenant_ids import tenant_of
from workflows.graphflow.client import ExecutionClient
from workflows.graphflow.messages import ExecutionEvent, GraphStart

_ATTEMPTS = 20
_PAUSE_S = 0.1

Verb = Literal["pause", "resume", "cancel"]


@dataclass(frozen=True, slots=True)
class ExecutionLocator:
    """An execution of a workflow, and the tenant that must own it."""

    workflow_id: str
    execution_id: str
    tenant_id: str


@dataclass(frozen=True, slots=True)
class ExecutionRecorder:
    """What a run records first of all, done here too, so that whoever reads after the answer meets it.

    `definition` is that of a version of a workflow that a tenant sees, read once.
    """

    begun: Callable[[RunRequest], Awaitable[RunStart]]
    reopened: Callable[[RunRequest, RunControlRequest], RunStart]
    definition: Callable[[str, str, int], Definition]


class ExecutionService:
    """The executions of this deployment. Refusals and unreachable services are raised as `Refused`."""

    def __init__(
        self,
        client: ExecutionClient,
        reads: RunReads,
        commands: WorkflowCommands,
        recording: ExecutionRecorder,
        context: RunContext,
    ) -> None:
        self._client = client
        self._reads = reads
        self._recording = recording
        self._context = context
        self._submissions = SubmissionStore(commands, recording.definition, context.content)
        kind = RunKind("execution", "executions", reads.run, client.read_input, initial_view)
        self._runs = RunAccess(kind, context)

    async def execute(self, order: ExecutionSubmission) -> ExecutionRef:
        """Start an execution; the same idempotency key joins the one that was started first.

        Raises:
            NotFound: there is no such workflow, or no such version of it.
            Conflict: the workflow is retired.
            Invalid: the input does not follow the workflow's schema.
            Unavailable: Temporal or the database cannot be reached; nothing was accepted, and nothing will be done.
        """
        key = await self._context.handover.usable_key(order.key)
        asked, name = await asyncio.to_thread(self._submissions.store, replace(order, key=key))
        await self._context.link_user(order.tenant_id, order.context.get("user_id"), asked.execution_id)
        work = RevocableWork(append_key(asked.execution_id, START_KEY), order.key)
        initial = self._runs.initial_view(asked)
        if not await self._start(asked, name, work):
            return to_ref((await self._runs.read_newest_state(asked.execution_id, otherwise=initial)).row)
        row = initial.row
        try:
            begun = await self._recording.begun(asked)
        except Unavailable:  # the workflow has started, and records the start itself
            return to_ref(row)
        return to_ref(replace(row, status="running" if begun.code is None else "failed", nodes=["begun"]))

    async def read(self, place: ExecutionLocator) -> ExecutionView:
        """Return a run as its view has it, or as it was requested while the view has nothing yet.

        Raises:
            NotFound: there is none in this tenant.
        """
        seen = await self._runs.read(place.execution_id, tenant_id=place.tenant_id)
        if seen.row.workflow_id != place.workflow_id:
            raise NotFound("there is no such execution")
        return seen

    async def read_newest(self, tenant_id: str, workflow_id: str) -> ExecutionView:
        """The newest run of a workflow that this tenant has started.

        Raises:
            NotFound: there is none.
        """
        seen = await asyncio.to_thread(self._reads.newest, tenant_id, workflow_id)
        if seen is None:
            raise NotFound(f"workflow {workflow_id} has not been run yet, or there is none")
        return seen

    async def control(self, place: ExecutionLocator, request: RunControlRequest) -> ExecutionRef:
        """Pause it, let it go on, or stop it. One that is so already stays so.

        Raises:
            NotFound: there is none in this tenant.
            Conflict: it is over.
        """
        seen = await self.read(place)
        if request.verb == "cancel" and seen.row.status == "cancelled":
            return to_ref(seen.row)
        self._runs.refuse_ended(seen)
        await self._client.send_request(place.execution_id, request)
        return to_ref((await self._runs.read_newest_state(place.execution_id, otherwise=seen)).row)

    async def deliver_event(self, place: ExecutionLocator, name: str, payload: Any, key: str | None) -> str:
        """Deliver an event to it, and return the event's id.

        Raises:
            NotFound: there is none in this tenant.
            Conflict: it is over.
            Invalid: no node of it waits for an event of this name.
        """
        seen = await self.read(place)
        self._runs.refuse_ended(seen)
        await asyncio.to_thread(self._refuse_unexpected_event, seen.row, name)
        event_id = f"event_{derived_hex('event', place.execution_id, key)}" if key else random_id("event")
        payload_hash = await asyncio.to_thread(store_json, self._context.content, place.execution_id, payload)
        await self._client.send_event(place.execution_id, ExecutionEvent(event_id, name, payload_hash))
        return event_id

    async def retry(self, place: ExecutionLocator, by: str, because: str) -> ExecutionRef:
        """Go on with a run that failed, was rejected or was cancelled, from where it stopped.

        Raises:
            NotFound: there is none in this tenant.
            Conflict: it is not over, it has completed, what it did was undone, or it is a node of another run.
        """
        seen = await self.read(place)
        request = RunControlRequest("reopen", by, await self._context.handover.usable_key(because) or because)
        asked, name = await asyncio.to_thread(self._prepare_retry, place.execution_id, request)
        work = RevocableWork(append_key(place.execution_id, reopen_key(request)), because)
        for _ in range(_ATTEMPTS):
            if await self._start(asked, name, work, reopen=request):
                break
            await asyncio.sleep(_PAUSE_S)  # its end is recorded, but Temporal has not closed the workflow yet
        else:
            raise Unavailable("the execution is still ending", retry_after=1)
        with suppress(Unavailable):  # the workflow records it itself
            await asyncio.to_thread(self._recording.reopened, asked, request)
        return to_ref((await self._runs.read_newest_state(place.execution_id, otherwise=seen)).row)

    async def _start(
        self, asked: RunRequest, name: str, work: RevocableWork, reopen: RunControlRequest | None = None
    ) -> bool:
        """Start the workflow; False if it runs already, or is over."""
        start = GraphStart(asked, self._context.call_timeout_s, self._context.pause_s, reopen=reopen)
        starting, because = self._client.start(start, name), reopen.because if reopen else asked.because
        return await self._runs.start(starting, work, run_id=asked.execution_id, by=asked.key_id, because=because)

    def _refuse_unexpected_event(self, row: ExecutionRow, name: str) -> None:
        """Refuse an event that no node would ever take."""
        nodes = self._recording.definition(row.tenant_id, row.workflow_id, row.version).nodes
        names = sorted({node.event for node in nodes if isinstance(node, WaitNode) and node.event})
        if name not in names:
            reason = f"no node of this execution waits for {name}; it waits for {', '.join(names) or 'no event'}"
            raise Invalid(reason, field="name", reason=reason)

    def _prepare_retry(self, execution_id: str, request: RunControlRequest) -> tuple[RunRequest, str]:
        """Return the request of an execution that is over and may be resumed, and the workflow's name."""
        run = runs.load(self._context.ledger.read(runs.stream(execution_id)))
        cause = Cause(request.by, request.because, self._context.now(), tenant_of(execution_id))
        runs.reopen(run, RunReopened(execution_id=execution_id, nodes=(), **cause.fields()))
        began = run.start_event
        if began.parent_id is not None:
            raise Conflict(
                f"this execution is a node of {began.parent_id}: retry that one", execution_id=began.parent_id
            )
        return request_of(began), began.name
