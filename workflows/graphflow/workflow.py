"""One execution of a graph: a single interpreter for all graphs."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision
    from activities.graphflow.execution_activities import RunActivities
    from activities.graphflow.final_state import state_of
    from activities.graphflow.messages import (
        AttemptEnd,
        EndRunRequest,
        NodeAttempt,
        RunControlRequest,
        RunEnd,
        RunStart,
    )
    from domain.errors import DomainError
    from domain.graphflow.definition.graph import unpack
    from domain.graphflow.execution.schedule_state import NodeIteration, ScheduleState
    from domain.graphflow.execution.scheduler import Schedule
    from workflows.graphflow.clock import PauseClock
    from workflows.graphflow.messages import CarriedState, ExecutionEvent, GraphStart
    from workflows.graphflow.node_attempts import EventQueue, NodeRunner, undo_completed
    from workflows.graphflow.node_work import NodeExecutor, NodeWaits
    from workflows.graphflow.progress import RunProgress
    from workflows.graphflow.task_helpers import cancel_and_wait, describe_failure, is_cancellation, run_to_completion
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.turn import TurnRunner

MAX_CONCURRENT_NODES = 50
"""Maximum number of nodes that run concurrently."""
_EVENTS_PER_NODE = 2
MAX_EVENTS = 1_000
"""Maximum number of events that wait to be taken."""


@dataclass(frozen=True)
class _StopReason:
    """The reason for which an execution ends early."""

    status: str
    reason: str
    code: str | None = None


@dataclass
class _RunningNodes:
    """The running nodes: tasks by iteration, and iterations that have ended and are to be settled."""

    visits: NodeRunner
    tasks: dict[NodeIteration, "asyncio.Task[AttemptEnd]"] = field(default_factory=dict)
    ended: deque[NodeIteration] = field(default_factory=deque)

    def launch(self, visit: NodeIteration) -> None:
        task = self.tasks[visit] = asyncio.create_task(self.visits.run(visit))
        # ends are settled in the order in which they came, which a replay repeats
        task.add_done_callback(lambda _: self.ended.append(visit))

    def settle(self) -> None:
        """Apply the ends of nodes to the progress.

        Raises:
            FailureError: an end cannot be recorded, and never will be.
        """
        while self.ended:
            visit = self.ended.popleft()
            self.visits.board.settle(visit, self.tasks.pop(visit).result())

    def settle_rest(self) -> None:
        """Apply the remaining ends once nothing runs any more; cancelled nodes stay as they are."""
        for visit, task in self.tasks.items():
            if task.done() and not task.cancelled() and task.exception() is None:
                self.visits.board.settle(visit, task.result())
        self.tasks.clear()

    def is_resting(self) -> bool:
        """Return whether all running nodes only wait, in a way that the next run can take over."""
        return not self.ended and self.visits.work.people.resting.issuperset(visit.node for visit in self.tasks)


@workflow.defn(name="GraphRun")
class GraphWorkflow:
    """Starts nodes that are ready and waits until all are settled, one fails, or the execution is cancelled."""

    @workflow.init
    def __init__(self, start: GraphStart) -> None:
        self._start = start
        self._asked = start.asked
        carried = start.carried
        self._people = NodeWaits()
        self._events = EventQueue()
        self._paused = carried is not None and carried.paused
        self._clock = PauseClock(dict(carried.late) if carried else {})
        self._cancelled: RunControlRequest | None = None
        self._flow: _RunningNodes | None = None
        self._closing = False
        self._settled = 0
        self._requests: set[RunControlRequest] = set()
        if carried is not None:
            self._events.heard.extend(carried.heard)
            self._events.known.extend(carried.known_events)

    @workflow.run
    async def run(self, start: GraphStart) -> RunEnd:
        """Execute the graph and record its end."""
        if start.undo:
            return await run_to_completion(self._undo())
        if self._paused:
            self._clock.stop()
        working = asyncio.create_task(self._work())
        try:
            await workflow.wait_condition(lambda: working.done() or self._cancelled is not None)
            stop = None if working.done() else _StopReason("cancelled", "it was cancelled by request")
        except asyncio.CancelledError:
            stop = _StopReason("cancelled", "its workflow was cancelled")
        over = await run_to_completion(self._close(working, stop))
        if over is None:
            workflow.continue_as_new(replace(start, reopen=None, carried=self._carried_state()))
        if over.status == "cancelled" and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError
        return over

    @workflow.update
    async def pause(self, request: RunControlRequest) -> None:
        """Start no new node; running nodes finish."""
        await self._set_paused(replace(request, verb="pause"), paused=True)

    @workflow.update
    async def resume(self, request: RunControlRequest) -> None:
        """Resume a paused execution."""
        await self._set_paused(replace(request, verb="resume"), paused=False)

    @workflow.update
    def cancel(self, request: RunControlRequest) -> None:
        """Cancel; completed nodes are undone where they say how."""
        self._request_cancel(request)

    @workflow.update
    def event(self, heard: ExecutionEvent) -> None:
        """Receive an event that a node waits for, or will wait for."""
        self._events.add(heard)

    @pause.validator
    def _may_pause(self, request: RunControlRequest) -> None:  # noqa: ARG002  (its update has it)
        self._refuse_if_over()

    @resume.validator
    def _may_resume(self, request: RunControlRequest) -> None:  # noqa: ARG002  (its update has it)
        self._refuse_if_over()

    @cancel.validator
    def _may_cancel(self, request: RunControlRequest) -> None:  # noqa: ARG002  (its update has it)
        self._refuse_if_over()

    @event.validator
    def _check_event(self, heard: ExecutionEvent) -> None:  # noqa: ARG002  (its update has it)
        self._refuse_if_over()
        if len(self._events.heard) >= MAX_EVENTS:
            raise ApplicationError("too many events wait to be taken", type="Conflict", non_retryable=True)

    @workflow.signal(name="event")
    def event_signalled(self, heard: ExecutionEvent) -> None:
        """Receive an event without an answer."""
        if len(self._events.heard) < MAX_EVENTS:
            self._events.add(heard)

    @workflow.signal
    async def request(self, request: RunControlRequest) -> None:
        """Pause, resume or cancel without an answer; once, even if the update arrives too."""
        if not workflow.patched("request"):  # older workers ignored this signal: replays of their histories must, too
            return
        if request.verb == "cancel":
            self._request_cancel(request)
        elif request.verb in {"pause", "resume"} and not self._closing:
            with suppress(FailureError):  # an error in a signal handler would fail the workflow
                await self._set_paused(request, paused=request.verb == "pause")

    @workflow.signal
    def approval_decided(self, decided: ApprovalDecision) -> None:
        """Report that an approval of a node was decided."""
        self._people.on_decision_signal(decided)

    async def _work(self) -> RunEnd | None:
        """Execute the graph. None if the workflow has to continue as new, or its end is still to be recorded."""
        begun = await self._begin()
        if begun.code is not None:
            return RunEnd("failed", code=begun.code, reason=begun.reason)
        flow = self._flow = self._build_progress(begun)
        board = flow.visits.board
        while board.over is None:
            while board.ready and len(flow.tasks) < MAX_CONCURRENT_NODES and self._may_launch():
                flow.launch(board.ready.popleft())
            self._update_details()
            await workflow.wait_condition(lambda: bool(flow.ended) or self._can_proceed(flow))
            if self._is_long() and flow.is_resting():
                self._events.frozen = True
                return None
            self._settled += len(flow.ended)
            flow.settle()
        return None

    def _can_proceed(self, flow: _RunningNodes) -> bool:
        board = flow.visits.board
        waits = bool(board.ready) and len(flow.tasks) < MAX_CONCURRENT_NODES and self._may_launch()
        return waits or (self._is_long() and flow.is_resting())

    def _may_launch(self) -> bool:
        return not self._paused and not self._is_long()

    def _is_long(self) -> bool:
        """Return whether the history is long or will be: events of one workflow task count only after it."""
        info, most = workflow.info(), self._start.events_per_run
        settled = _EVENTS_PER_NODE * self._settled
        return max(settled, info.get_current_history_length()) >= most or info.is_continue_as_new_suggested()

    async def _begin(self) -> RunStart:
        reopen = self._start.reopen
        if reopen is None:
            return await workflow.execute_local_activity_method(
                RunActivities.begin_run,
                self._asked,
                start_to_close_timeout=LEDGER_TIMEOUT,
                retry_policy=LEDGER_RETRY,
            )
        return await workflow.execute_local_activity_method(
            RunActivities.reopen_run,
            args=[self._asked, reopen],
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
        )

    def _build_progress(self, begun: RunStart) -> _RunningNodes:
        """Return the progress at the beginning of this run, with no node running."""
        schedule = Schedule(unpack(begun.plan))
        board = RunProgress(schedule, ScheduleState("", "", ()), self._asked.workflow_id)
        if self._start.carried is not None:
            _restore(board, self._start.carried)
        elif begun.state is not None:
            board.apply(schedule.reopen(state_of(begun.state)))
            board.attempts |= begun.attempts
            board.completed += [NodeIteration(node, visit) for node, visit in begun.completed]
        else:
            board.apply(schedule.start())
        board.kept.update(begun.kept)
        return self._make_running_nodes(begun, board)

    def _make_running_nodes(self, begun: RunStart, board: RunProgress) -> _RunningNodes:
        asked = self._asked
        turns = TurnRunner(
            begun.model_queue,
            self._start.call_timeout_s,
            self._start.pause_s,
            asked.project_id,
            root_id=asked.root,
            budget_usd=asked.budget_usd,
        )
        return _RunningNodes(
            NodeRunner(asked, board, NodeExecutor(turns, self._people, self._mark_waiting), self._events, self._clock)
        )

    async def _undo(self) -> RunEnd:
        """Undo a completed execution, node by node, the latest first."""
        self._closing = True
        begun = await workflow.execute_local_activity_method(
            RunActivities.begin_undo, self._asked, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
        )
        schedule = Schedule(unpack(begun.plan))
        board = RunProgress(schedule, state_of(begun.state or {}), self._asked.workflow_id)
        flow = self._flow = self._make_running_nodes(begun, board)
        over = await undo_completed(begun, flow.visits)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return over

    async def _close(self, working: "asyncio.Task[RunEnd | None]", stop: _StopReason | None) -> RunEnd | None:
        """Cancel running nodes, undo what is to be undone, and record the end. None: it continues as new."""
        if stop is not None:
            await cancel_and_wait([working])
        broken = _find_failure(working)
        if stop is None and broken is None and (refused := working.result()) is not None:
            self._closing = True
            await workflow.wait_condition(workflow.all_handlers_finished)
            return refused
        flow = self._flow
        if stop is None and broken is None and flow is not None and flow.visits.board.over is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            if self._cancelled is None:
                return None
            stop = _StopReason("cancelled", "it was cancelled by request")
        self._closing = True
        if flow is not None:
            await cancel_and_wait([*flow.tasks.values()])
        over = await self._end(flow, stop or broken)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return over

    async def _end(self, flow: _RunningNodes | None, stop: _StopReason | None) -> RunEnd:
        if flow is None:
            return await self._end_unbegun(stop)
        board = flow.visits.board
        flow.settle_rest()
        if board.over is None:
            board.apply(board.schedule.cancel(board.state))
        else:
            stop = None
        over = board.over
        status = stop.status if stop else over.status if over else "failed"
        if status != "completed":
            for visit in board.schedule.nodes_to_compensate(board.completed):
                await flow.visits.undo(visit)
        ending = EndRunRequest(
            self._asked,
            status,
            ends=list(over.ends) if over else [],
            node=over.node if over else None,
            code=(stop.code if stop else None) or board.code or (over.code if over else None),
            reason=stop.reason if stop else over.reason if over else None,
            skipped=[*board.skipped],
            state=board.to_plain_state(),
        )
        done = await _record_end(ending)
        board.schedule_update(done.status)
        return done

    async def _end_unbegun(self, stop: _StopReason | None) -> RunEnd:
        """Record the end of an execution that was stopped before it began. One that cannot be reopened stays ended."""
        why_not = stop or _StopReason("failed", "it could not begin", "INTERNAL_ERROR")
        if self._start.reopen is not None and why_not.status != "cancelled":
            return RunEnd(why_not.status, code=why_not.code, reason=why_not.reason)
        await self._begin()
        return await _record_end(EndRunRequest(self._asked, why_not.status, code=why_not.code, reason=why_not.reason))

    def _request_cancel(self, request: RunControlRequest) -> None:
        self._cancelled = self._cancelled or request

    async def _set_paused(self, request: RunControlRequest, *, paused: bool) -> None:
        """Pause or resume, once per request: its signal and its update may both arrive."""
        if request in self._requests:
            return
        self._requests.add(request)
        self._paused = paused
        if paused:
            self._clock.stop()
        else:
            self._clock.resume()
        await self._record(request)
        self._update_details()

    async def _record(self, request: RunControlRequest) -> None:
        """Record a request once the execution has begun."""
        await workflow.wait_condition(lambda: self._flow is not None or self._closing)
        self._refuse_if_over()
        await workflow.execute_local_activity_method(
            RunActivities.record_request,
            args=[self._asked, request],
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
        )

    def _carried_state(self) -> CarriedState:
        flow = self._flow
        if flow is None:
            raise ValueError("an execution that has not begun has no state to carry along")
        board = flow.visits.board
        return CarriedState(
            state=board.state,
            completed=board.completed,
            attempts=board.attempts,
            skipped=[*board.skipped],
            heard=[*self._events.heard],
            known_events=[*self._events.known],
            paused=self._paused,
            late=self._clock.current_delays(),
            kept=sorted(board.kept),
        )

    def _refuse_if_over(self) -> None:
        if self._closing:
            raise ApplicationError("this execution is over", type="Conflict", non_retryable=True)

    def _mark_waiting(self, spot: NodeAttempt, approval: str) -> None:
        if self._flow is not None:
            self._flow.visits.board.mark(spot.node, f"waits for `{approval}`")

    def _update_details(self) -> None:
        if self._flow is not None:
            self._flow.visits.board.schedule_update("paused" if self._paused else "running")


async def _record_end(ending: EndRunRequest) -> RunEnd:
    return await workflow.execute_local_activity_method(
        RunActivities.end_run, ending, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
    )


def _restore(board: RunProgress, carried: CarriedState) -> None:
    board.state = carried.state
    board.ready.extend(board.schedule.running_nodes(carried.state))
    board.completed += carried.completed
    board.attempts |= carried.attempts
    board.skipped.update(dict.fromkeys(carried.skipped))
    board.kept.update(carried.kept)


def _find_failure(working: "asyncio.Task[Any]") -> _StopReason | None:
    """Return the reason of a failure that ends the execution; programming errors are raised, as they are no end."""
    if working.cancelled() or (error := working.exception()) is None or is_cancellation(error):
        return None
    if isinstance(error, DomainError):
        return _StopReason("failed", error.message, type(error).__name__)
    if not isinstance(error, FailureError):
        raise error
    code, message = describe_failure(error)
    return _StopReason("failed", f"it could not continue: {message}", code)
