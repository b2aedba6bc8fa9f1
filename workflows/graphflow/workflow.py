"""One execution of a graph: a single interpreter for all graphs."""

import asyncio
from contextlib import suppress
from dataclasses import replace

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision
    from activities.graphflow.messages import NodeAttempt, RunControlRequest, RunEnd, RunStart
    from workflows.graphflow.cancellation import cancel_and_wait, run_to_completion
    from workflows.graphflow.clock import PauseClock
    from workflows.graphflow.continuation import carried_state, completed_progress, initial_progress
    from workflows.graphflow.event_queue import EventQueue
    from workflows.graphflow.messages import ExecutionEvent, GraphStart
    from workflows.graphflow.node_attempts import NodeRunner, undo_completed
    from workflows.graphflow.node_work import NodeExecutor, NodeWaits
    from workflows.graphflow.progress import RunProgress
    from workflows.graphflow.run_end import StopReason, end_begun, end_unbegun, find_failure
    from workflows.graphflow.run_ledger import begin_run, begin_undo, record_request
    from workflows.graphflow.running_nodes import RunningNodes
    from workflows.turn.turn import TurnRunner

_EVENTS_PER_NODE = 2


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
        self._flow: RunningNodes | None = None
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
            stop = None if working.done() else StopReason("cancelled", "it was cancelled by request")
        except asyncio.CancelledError:
            stop = StopReason("cancelled", "its workflow was cancelled")
        over = await run_to_completion(self._close(working, stop))
        if over is None:
            workflow.continue_as_new(self._next_input(start))
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
        if self._events.is_full():
            raise ApplicationError("too many events wait to be taken", type="Conflict", non_retryable=True)

    @workflow.signal(name="event")
    def event_signalled(self, heard: ExecutionEvent) -> None:
        """Receive an event without an answer."""
        if not self._events.is_full():
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
        begun = await begin_run(self._asked, self._start.reopen)
        if begun.code is not None:
            return RunEnd("failed", code=begun.code, reason=begun.reason)
        flow = self._flow = self._make_running_nodes(begun, initial_progress(self._start, begun))
        board = flow.board
        while board.over is None:
            while board.ready and flow.has_room() and self._may_launch():
                flow.launch(board.ready.popleft())
            self._update_details()
            await workflow.wait_condition(lambda: bool(flow.ended) or self._can_proceed(flow))
            if self._is_long() and flow.is_resting():
                self._events.frozen = True
                return None
            self._settled += len(flow.ended)
            flow.settle()
        return None

    def _can_proceed(self, flow: RunningNodes) -> bool:
        waits = bool(flow.board.ready) and flow.has_room() and self._may_launch()
        return waits or (self._is_long() and flow.is_resting())

    def _may_launch(self) -> bool:
        return not self._paused and not self._is_long()

    def _is_long(self) -> bool:
        """Return whether the history is long or will be: events of one workflow task count only after it."""
        info, most = workflow.info(), self._start.events_per_run
        settled = _EVENTS_PER_NODE * self._settled
        return max(settled, info.get_current_history_length()) >= most or info.is_continue_as_new_suggested()

    def _make_running_nodes(self, begun: RunStart, board: RunProgress) -> RunningNodes:
        asked = self._asked
        turns = TurnRunner(
            begun.model_queue,
            self._start.call_timeout_s,
            self._start.pause_s,
            asked.project_id,
            root_id=asked.root,
            budget_usd=asked.budget_usd,
        )
        return RunningNodes(
            NodeRunner(asked, board, NodeExecutor(turns, self._people, self._mark_waiting), self._events, self._clock)
        )

    async def _undo(self) -> RunEnd:
        """Undo a completed execution, node by node, the latest first."""
        self._closing = True
        begun = await begin_undo(self._asked)
        flow = self._flow = self._make_running_nodes(begun, completed_progress(self._start, begun))
        over = await undo_completed(begun, flow.visits)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return over

    async def _close(self, working: "asyncio.Task[RunEnd | None]", stop: StopReason | None) -> RunEnd | None:
        """Cancel running nodes, undo what is to be undone, and record the end. None: it continues as new."""
        if stop is not None:
            await cancel_and_wait([working])
        broken = find_failure(working)
        if stop is None and broken is None and (refused := working.result()) is not None:
            self._closing = True
            await workflow.wait_condition(workflow.all_handlers_finished)
            return refused
        flow = self._flow
        if stop is None and broken is None and flow is not None and flow.board.over is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            if self._cancelled is None:
                return None
            stop = StopReason("cancelled", "it was cancelled by request")
        self._closing = True
        if flow is not None:
            await cancel_and_wait([*flow.tasks.values()])
        over = await end_begun(flow, stop or broken) if flow else await end_unbegun(self._start, stop or broken)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return over

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
        await record_request(self._asked, request)

    def _next_input(self, start: GraphStart) -> GraphStart:
        """Return the input of the next run."""
        if self._flow is None:
            raise ValueError("an execution that has not begun has no state to carry along")
        carried = carried_state(self._flow.board, self._events, self._clock, paused=self._paused)
        return replace(start, reopen=None, carried=carried)

    def _refuse_if_over(self) -> None:
        if self._closing:
            raise ApplicationError("this execution is over", type="Conflict", non_retryable=True)

    def _mark_waiting(self, spot: NodeAttempt, approval: str) -> None:
        if self._flow is not None:
            self._flow.board.mark(spot.node, f"waits for `{approval}`")

    def _update_details(self) -> None:
        if self._flow is not None:
            self._flow.board.schedule_update("paused" if self._paused else "running")
