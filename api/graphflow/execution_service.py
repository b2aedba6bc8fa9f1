"""Execution service: starts, reads and controls executions, and delivers events to them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal

import orjson

from activities.graphflow.execution_activities import START_KEY, reopen_key
from activities.graphflow.execution_stream import append_key
from activities.graphflow.messages import RunControlRequest, RunRequest, RunStart, request_of
from api.graphflow.execution_input import require_valid_input
from api.graphflow.execution_responses import ExecutionRef, to_ref
from api.http.dependencies import Positions
from api.http.handover import WorkHandover
from domain.content import Content, ContentStore
from domain.errors import Conflict, Invalid, NotFound, Unavailable
from domain.events import Cause
from domain.graphflow.catalogue.commands import WorkflowCommands
from domain.graphflow.definition.model import Definition, WaitNode
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.events import RunReopened
from domain.graphflow.execution.ports import ExecutionView, RunReads
from domain.graphflow.execution.views import ExecutionRow
from domain.ids import derived_hex, random_id
from domain.ledger import Ledger
from domain.revocations import RevocableWork
from domain.tenant_ids import run_id, tenant_of
from workflows.graphflow.client import ExecutionClient
from workflows.graphflow.messages import ExecutionEvent, GraphStart

_ATTEMPTS = 20
_PAUSE_S = 0.1

Verb = Literal["pause", "resume", "cancel"]


@dataclass(frozen=True, slots=True)
class ExecutionSubmission:
    """An execution that a caller requests. `key` is the scoped idempotency key, if any."""

    workflow_id: str
    input: Mapping[str, Any]
    key_id: str
    tenant_id: str
    request_id: str
    context: Mapping[str, Any] = field(default_factory=dict)
    project_id: str | None = None
    version: int | None = None
    budget_usd: Decimal | None = None
    key: str | None = None


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
        runs: ExecutionClient,
        reads: RunReads,
        commands: WorkflowCommands,
        recording: ExecutionRecorder,
        *,
        ledger: Ledger,
        content: ContentStore,
        positions: Positions,
        handover: WorkHandover,
        now: Callable[[], datetime],
        call_timeout: timedelta,
        pause: timedelta,
    ) -> None:
        self._runs = runs
        self._reads = reads
        self._commands = commands
        self._recording = recording
        self._ledger = ledger
        self._content = content
        self._positions = positions
        self._handover = handover
        self._now = now
        self._call_timeout_s = call_timeout.total_seconds()
        self._pause_s = pause.total_seconds()

    async def execute(self, order: ExecutionSubmission) -> ExecutionRef:
        """Start an execution; the same idempotency key joins the one that was started first.

        Raises:
            NotFound: there is no such workflow, or no such version of it.
            Conflict: the workflow is retired.
            Invalid: the input does not follow the workflow's schema.
            Unavailable: Temporal or the database cannot be reached; nothing was accepted, and nothing will be done.
        """
        key = await self._handover.usable_key(order.key)
        asked, name = await asyncio.to_thread(self._store_request, replace(order, key=key))
        work = RevocableWork(append_key(asked.execution_id, START_KEY), order.key)
        if not await self._start(GraphStart(asked, self._call_timeout_s, self._pause_s), name, work):
            place = ExecutionLocator(asked.workflow_id, asked.execution_id, order.tenant_id)
            return await self._read_ref(place, ExecutionView(_initial_row(asked, self._now()), ()))
        row = _initial_row(asked, self._now())
        try:
            begun = await self._recording.begun(asked)
        except Unavailable:  # the workflow has started, and records the start itself
            return to_ref(row)
        return to_ref(replace(row, status="running" if begun.code is None else "failed", nodes=["begun"]))

    async def read(self, place: ExecutionLocator) -> ExecutionView:
        """A run as its view has it, or as it was asked for while the view has nothing yet.

        Raises:
            NotFound: there is none in this tenant.
        """
        seen = await asyncio.to_thread(self._reads.run, place.execution_id)
        if seen is None and tenant_of(place.execution_id) != place.tenant_id:
            raise NotFound("there is no such execution")
        if seen is None:
            seen = ExecutionView(_initial_row(await self._runs.read_input(place.execution_id), self._now()), ())
        if (seen.row.tenant_id, seen.row.workflow_id) != (place.tenant_id, place.workflow_id):
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
        if seen.row.ended_at is not None:
            if request.verb == "cancel" and seen.row.status == "cancelled":
                return to_ref(seen.row)
            raise Conflict(f"this execution is over: {seen.row.status}", status=seen.row.status)
        await self._runs.send_request(place.execution_id, request)
        return await self._read_ref(place, seen)

    async def deliver_event(self, place: ExecutionLocator, name: str, payload: Any, key: str | None) -> str:
        """Tell it an event, and return the event's id.

        Raises:
            NotFound: there is none in this tenant.
            Conflict: it is over.
            Invalid: no node of it waits for an event of this name.
        """
        seen = await self.read(place)
        if seen.row.ended_at is not None:
            raise Conflict(f"this execution is over: {seen.row.status}", status=seen.row.status)
        await asyncio.to_thread(self._refuse_unexpected_event, seen.row, name)
        event_id = f"event_{derived_hex('event', place.execution_id, key)}" if key else random_id("event")
        payload_hash = await asyncio.to_thread(_store_json, self._content, place.execution_id, payload)
        await self._runs.send_event(place.execution_id, ExecutionEvent(event_id, name, payload_hash))
        return event_id

    async def retry(self, place: ExecutionLocator, by: str, because: str) -> ExecutionRef:
        """Go on with a run that failed, was rejected or was cancelled, from where it stopped.

        Raises:
            NotFound: there is none in this tenant.
            Conflict: it is not over, it has completed, what it did was undone, or it is a node of another run.
        """
        seen = await self.read(place)
        request = RunControlRequest("reopen", by, await self._handover.usable_key(because) or because)
        asked, name = await asyncio.to_thread(self._prepare_retry, place.execution_id, request)
        start = GraphStart(asked, self._call_timeout_s, self._pause_s, reopen=request)
        work = RevocableWork(append_key(place.execution_id, reopen_key(request)), because)
        for _ in range(_ATTEMPTS):
            if await self._start(start, name, work):
                break
            await asyncio.sleep(_PAUSE_S)  # its end is recorded, but Temporal has not closed the workflow yet
        else:
            raise Unavailable("the execution is still ending", retry_after=1)
        with suppress(Unavailable):  # the workflow records it itself
            await asyncio.to_thread(self._recording.reopened, asked, request)
        return await self._read_ref(place, seen)

    async def _start(self, start: GraphStart, name: str, work: RevocableWork) -> bool:
        """Start the workflow; False if it runs already, or is over."""
        cause = start.reopen.because if start.reopen else start.asked.because
        starting, tenant_id = self._runs.start(start, name), tenant_of(start.asked.execution_id)
        by = start.asked.key_id
        return bool(await self._handover.confirm(starting, work, by=by, because=cause, tenant_id=tenant_id))

    async def _read_ref(self, place: ExecutionLocator, seen: ExecutionView) -> ExecutionRef:
        """Return the current state, or that of `seen` if it cannot be read: the request was executed in any case."""
        try:
            await self._positions.wait("executions")
            seen = await self.read(place)
        except Unavailable:
            pass
        return to_ref(seen.row)

    def _refuse_unexpected_event(self, row: ExecutionRow, name: str) -> None:
        """Refuse an event that no node would ever take."""
        nodes = self._recording.definition(row.tenant_id, row.workflow_id, row.version).nodes
        names = sorted({node.event for node in nodes if isinstance(node, WaitNode) and node.event})
        if name not in names:
            reason = f"no node of this execution waits for {name}; it waits for {', '.join(names) or 'no event'}"
            raise Invalid(reason, field="name", reason=reason)

    def _store_request(self, order: ExecutionSubmission) -> tuple[RunRequest, str]:
        """Store the texts of a request; return the request by its ids, and the workflow's name."""
        workflow = self._commands.load(order.tenant_id, order.workflow_id).workflow
        if workflow.retired:
            raise Conflict("the workflow is retired", workflow_id=order.workflow_id)
        workflow.version(order.version)  # raises if there is no such version
        version = order.version or len(workflow.versions)
        definition = self._recording.definition(order.tenant_id, order.workflow_id, version)
        require_valid_input(definition.input, order.input)
        unique = derived_hex("execution", order.key) if order.key else None
        execution_id = run_id("exec", order.tenant_id, unique)
        store = partial(_store_json, self._content, execution_id)
        asked = RunRequest(
            execution_id=execution_id,
            workflow_id=order.workflow_id,
            version=version,
            key_id=order.key_id,
            because=order.request_id,
            input_hash=store(order.input),
            context_hash=store(order.context) if order.context else None,
            project_id=order.project_id,
            budget_usd=str(order.budget_usd) if order.budget_usd is not None else None,
        )
        return asked, definition.name

    def _prepare_retry(self, execution_id: str, request: RunControlRequest) -> tuple[RunRequest, str]:
        """Return the request of an execution that is over and may be resumed, and the workflow's name."""
        run = runs.load(self._ledger.read(runs.stream(execution_id)))
        cause = Cause(request.by, request.because, self._now(), tenant_of(execution_id))
        runs.reopen(run, RunReopened(execution_id=execution_id, nodes=(), **cause.fields()))
        began = run.start_event
        if began.parent_id is not None:
            raise Conflict(
                f"this execution is a node of {began.parent_id}: retry that one", execution_id=began.parent_id
            )
        return request_of(began), began.name


def _initial_row(asked: RunRequest, at: datetime) -> ExecutionRow:
    """Return the row of an execution of which only the request is known: it has no nodes yet."""
    return ExecutionRow(
        execution_id=asked.execution_id,
        tenant_id=tenant_of(asked.execution_id),
        workflow_id=asked.workflow_id,
        version=asked.version,
        name="",
        status="running",
        key_id=asked.key_id,
        project_id=asked.project_id,
        root_id=asked.root,
        parent_id=asked.parent_id,
        input_hash=asked.input_hash,
        context_hash=asked.context_hash,
        output_hash=None,
        budget_usd=Decimal(asked.budget_usd) if asked.budget_usd else None,
        node=None,
        code=None,
        reason=None,
        nodes=[],
        held=0,
        paused=False,
        started_at=at,
        ended_at=None,
    )


def _store_json(content: ContentStore, execution_id: str, value: Any) -> str:
    return content.put(Content(execution_id, orjson.dumps(value).decode()))
