"""One execution of a graph: a single interpreter for all graphs."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import Decided
    from activities.graphflow.execution_activities import RunActivities
    from activities.graphflow.final_state import state_of
    from activities.graphflow.messages import Ended, Request, RunBegun, RunEnding, RunOver, Spot
    from domain.errors import Refused
    from domain.graphflow.definition.graph import unpacked
    from domain.graphflow.execution.scheduler import Schedule, State, Visit
    from workflows.graphflow.clock import Clock
    from workflows.graphflow.messages import Carried, GraphStart, Heard
    from workflows.graphflow.node_attempts import Events, Visits, undone
    from workflows.graphflow.node_work import People, Work
    from workflows.graphflow.progress import Board
    from workflows.graphflow.task_helpers import is_cancellation, stopped, surely, why
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.turn import Turns

MOST_AT_ONCE = 50
"""Maximum number of nodes that run concurrently."""
_EVENTS_OF_A_NODE = 2
MOST_EVENTS = 1_000
"""Maximum number of events that wait to be taken."""


@dataclass(frozen=True)
class _Stop:
    """The reason for which an execution ends early."""

    status: str
    reason: str
    code: str | None = None


@dataclass
class _Flow:
    """The running nodes: tasks by iteration, and iterations that have ended and are to be settled."""

    visits: Visits
    tasks: dict[Visit, "asyncio.Task[Ended]"] = field(default_factory=dict)
    ended: deque[Visit] = field(default_factory=deque)

    def launch(self, visit: Visit) -> None:
        task = self.tasks[visit] = asyncio.create_task(self.visits.take(visit))
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

    def rests(self) -> bool:
        """Return whether all running nodes only wait, in a way that the next run can take over."""
        return not self.ended and self.visits.work.people.resting.issuperset(visit.node for visit in self.tasks)


@workflow.defn(name="GraphRun")
class GraphRun:
    """Starts nodes that are ready and waits until all are settled, one fails, or the execution is cancelled."""

    @workflow.init
    def __init__(self, start: GraphStart) -> None:
        self._start = start
        self._asked = start.asked
        carried = start.carried
        self._people = People()
        self._events = Events()
        self._paused = carried is not None and carried.paused
        self._clock = Clock(dict(carried.late) if carried else {})
        self._cancelled: Request | None = None
        self._flow: _Flow | None = None
        self._closing = False
        self._settled = 0
        self._requests: set[Request] = set()
        if carried is not None:
            self._events.heard.extend(carried.heard)
            self._events.known.extend(carried.known_events)

    @workflow.run
    async def run(self, start: GraphStart) -> RunOver:
        """Execute the graph and record its end."""
        if start.undo:
            return await surely(self._undo())
        if self._paused:
            self._clock.stop()
        working = asyncio.create_task(self._work())
        try:
            await workflow.wait_condition(lambda: working.done() or self._cancelled is not None)
            stop = None if working.done() else _Stop("cancelled", "it was cancelled by request")
        except asyncio.CancelledError:
            stop = _Stop("cancelled", "its workflow was cancelled")
        over = await surely(self._close(working, stop))
        if over is None:
            workflow.continue_as_new(replace(start, reopen=None, carried=self._carried()))
        if over.status == "cancelled" and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError
        return over

    @workflow.update
    async def pause(self, request: Request) -> None:
        """Start no new node; running nodes finish."""
        await self._set_paused(replace(request, verb="pause"), paused=True)

    @workflow.update
    async def resume(self, request: Request) -> None:
        """Resume a paused execution."""
        await self._set_paused(replace(request, verb="resume"), paused=False)

    @workflow.update
    def cancel(self, request: Request) -> None:
        """Cancel; completed nodes are undone where they say how."""
        self._stop(request)

    @workflow.update
    def event(self, heard: Heard) -> None:
        """Receive an event that a node waits for, or will wait for."""
        self._events.hear(heard)

    @pause.validator
    def _may_pause(self, request: Request) -> None:  # noqa: ARG002  (its update has it)
        self._refuse_if_over()

    @resume.validator
    def _may_resume(self, request: Request) -> None:  # noqa: ARG002  (its update has it)
        self._refuse_if_over()

    @cancel.validator
    def _may_cancel(self, request: Request) -> None:  # noqa: ARG002  (its update has it)
        self._refuse_if_over()

    @event.validator
    def _may_hear(self, heard: Heard) -> None:  # noqa: ARG002  (its update has it)
        self._refuse_if_over()
        if len(self._events.heard) >= MOST_EVENTS:
            raise ApplicationError("too many events wait to be taken", type="Conflict", non_retryable=True)

    @workflow.signal(name="event")
    def event_signalled(self, heard: Heard) -> None:
        """Receive an event without an answer."""
        if len(self._events.heard) < MOST_EVENTS:
            self._events.hear(heard)

    @workflow.signal
    async def request(self, request: Request) -> None:
        """Pause, resume or cancel without an answer; once, even if the update arrives too."""
        if not workflow.patched("request"):  # older workers ignored this signal: replays of their histories must, too
            return
        if request.verb == "cancel":
            self._stop(request)
        elif request.verb in {"pause", "resume"} and not self._closing:
            with suppress(FailureError):  # an error in a signal handler would fail the workflow
                await self._set_paused(request, paused=request.verb == "pause")

    @workflow.signal
    def approval_decided(self, decided: Decided) -> None:
        """Report that an approval of a node was decided."""
        self._people.decided(decided)

    async def _work(self) -> RunOver | None:
        """Execute the graph. None if the workflow has to continue as new, or its end is still to be recorded."""
        begun = await self._begun()
        if begun.code is not None:
            return RunOver("failed", code=begun.code, reason=begun.reason)
        flow = self._flow = self._opened(begun)
        board = flow.visits.board
        while board.over is None:
            while board.ready and len(flow.tasks) < MOST_AT_ONCE and self._may_launch():
                flow.launch(board.ready.popleft())
            self._show()
            await workflow.wait_condition(lambda: bool(flow.ended) or self._can_move(flow))
            if self._is_long() and flow.rests():
                self._events.frozen = True
                return None
            self._settled += len(flow.ended)
            flow.settle()
        return None

    def _can_move(self, flow: _Flow) -> bool:
        board = flow.visits.board
        waits = bool(board.ready) and len(flow.tasks) < MOST_AT_ONCE and self._may_launch()
        return waits or (self._is_long() and flow.rests())

    def _may_launch(self) -> bool:
        return not self._paused and not self._is_long()

    def _is_long(self) -> bool:
        """Return whether the history is long or will be: events of one workflow task count only after it."""
        info, most = workflow.info(), self._start.events_per_run
        settled = _EVENTS_OF_A_NODE * self._settled
        return max(settled, info.get_current_history_length()) >= most or info.is_continue_as_new_suggested()

    async def _begun(self) -> RunBegun:
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

    def _opened(self, begun: RunBegun) -> _Flow:
        """Return the progress at the beginning of this run, with no node running."""
        schedule = Schedule(unpacked(begun.plan))
        board = Board(schedule, State("", "", ()), self._asked.workflow_id)
        if self._start.carried is not None:
            _carry_on(board, self._start.carried)
        elif begun.state is not None:
            board.take(schedule.reopened(state_of(begun.state)))
            board.attempts |= begun.attempts
            board.completed += [Visit(node, visit) for node, visit in begun.completed]
        else:
            board.take(schedule.start())
        board.kept.update(begun.kept)
        return self._flowing(begun, board)

    def _flowing(self, begun: RunBegun, board: Board) -> _Flow:
        asked = self._asked
        turns = Turns(
            begun.model_queue,
            self._start.call_timeout_s,
            self._start.pause_s,
            asked.project_id,
            root_id=asked.root,
            budget_usd=asked.budget_usd,
        )
        return _Flow(Visits(asked, board, Work(turns, self._people, self._waits), self._events, self._clock))

    async def _undo(self) -> RunOver:
        """Undo a completed execution, node by node, the latest first."""
        self._closing = True
        begun = await workflow.execute_local_activity_method(
            RunActivities.begin_undo, self._asked, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
        )
        schedule = Schedule(unpacked(begun.plan))
        board = Board(schedule, state_of(begun.state or {}), self._asked.workflow_id)
        flow = self._flow = self._flowing(begun, board)
        over = await undone(begun, flow.visits)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return over

    async def _close(self, working: "asyncio.Task[RunOver | None]", stop: _Stop | None) -> RunOver | None:
        """Cancel running nodes, undo what is to be undone, and record the end. None: it continues as new."""
        if stop is not None:
            await stopped([working])
        broken = _broken(working)
        if stop is None and broken is None and (refused := working.result()) is not None:
            self._closing = True
            await workflow.wait_condition(workflow.all_handlers_finished)
            return refused
        flow = self._flow
        if stop is None and broken is None and flow is not None and flow.visits.board.over is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            if self._cancelled is None:
                return None
            stop = _Stop("cancelled", "it was cancelled by request")
        self._closing = True
        if flow is not None:
            await stopped([*flow.tasks.values()])
        over = await self._end(flow, stop or broken)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return over

    async def _end(self, flow: _Flow | None, stop: _Stop | None) -> RunOver:
        if flow is None:
            return await self._end_unbegun(stop)
        board = flow.visits.board
        flow.settle_rest()
        if board.over is None:
            board.take(board.schedule.cancelled(board.state))
        else:
            stop = None
        over = board.over
        status = stop.status if stop else over.status if over else "failed"
        if status != "completed":
            for visit in board.schedule.to_compensate(board.completed):
                await flow.visits.undo(visit)
        ending = RunEnding(
            self._asked,
            status,
            ends=list(over.ends) if over else [],
            node=over.node if over else None,
            code=(stop.code if stop else None) or board.code or (over.code if over else None),
            reason=stop.reason if stop else over.reason if over else None,
            skipped=[*board.skipped],
            state=board.plain_state(),
        )
        done = await _recorded(ending)
        board.show(done.status)
        return done

    async def _end_unbegun(self, stop: _Stop | None) -> RunOver:
        """Record the end of an execution that was stopped before it began. One that cannot be reopened stays ended."""
        why_not = stop or _Stop("failed", "it could not begin", "INTERNAL_ERROR")
        if self._start.reopen is not None and why_not.status != "cancelled":
            return RunOver(why_not.status, code=why_not.code, reason=why_not.reason)
        await self._begun()
        return await _recorded(RunEnding(self._asked, why_not.status, code=why_not.code, reason=why_not.reason))

    def _stop(self, request: Request) -> None:
        self._cancelled = self._cancelled or request

    async def _set_paused(self, request: Request, *, paused: bool) -> None:
        """Pause or resume, once per request: its signal and its update may both arrive."""
        if request in self._requests:
            return
        self._requests.add(request)
        self._paused = paused
        if paused:
            self._clock.stop()
        else:
            self._clock.go_on()
        await self._record(request)
        self._show()

    async def _record(self, request: Request) -> None:
        """Record a request once the execution has begun."""
        await workflow.wait_condition(lambda: self._flow is not None or self._closing)
        self._refuse_if_over()
        await workflow.execute_local_activity_method(
            RunActivities.record_request,
            args=[self._asked, request],
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
        )

    def _carried(self) -> Carried:
        flow = self._flow
        if flow is None:
            raise ValueError("an execution that has not begun has no state to carry along")
        board = flow.visits.board
        return Carried(
            state=board.state,
            completed=board.completed,
            attempts=board.attempts,
            skipped=[*board.skipped],
            heard=[*self._events.heard],
            known_events=[*self._events.known],
            paused=self._paused,
            late=self._clock.carried(),
            kept=sorted(board.kept),
        )

    def _refuse_if_over(self) -> None:
        if self._closing:
            raise ApplicationError("this execution is over", type="Conflict", non_retryable=True)

    def _waits(self, spot: Spot, approval: str) -> None:
        if self._flow is not None:
            self._flow.visits.board.mark(spot.node, f"waits for `{approval}`")

    def _show(self) -> None:
        if self._flow is not None:
            self._flow.visits.board.show("paused" if self._paused else "running")


async def _recorded(ending: RunEnding) -> RunOver:
    return await workflow.execute_local_activity_method(
        RunActivities.end_run, ending, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
    )


def _carry_on(board: Board, carried: Carried) -> None:
    board.state = carried.state
    board.ready.extend(board.schedule.running(carried.state))
    board.completed += carried.completed
    board.attempts |= carried.attempts
    board.skipped.update(dict.fromkeys(carried.skipped))
    board.kept.update(carried.kept)


def _broken(working: "asyncio.Task[Any]") -> _Stop | None:
    """Return the reason of a failure that ends the execution; programming errors are raised, as they are no end."""
    if working.cancelled() or (error := working.exception()) is None or is_cancellation(error):
        return None
    if isinstance(error, Refused):
        return _Stop("failed", error.message, type(error).__name__)
    if not isinstance(error, FailureError):
        raise error
    code, message = why(error)
    return _Stop("failed", f"it could not continue: {message}", code)
