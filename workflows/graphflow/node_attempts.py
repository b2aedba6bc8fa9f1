"""The iterations of nodes: attempts up to the node's limit and within its timeout, to an end that is recorded."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.graphflow.messages import (
        AttemptEnd,
        AttemptStart,
        CompensationResult,
        EndNodeRequest,
        NodeAttempt,
        RunEnd,
        RunRequest,
        RunStart,
    )
    from activities.graphflow.node_activities import NodeActivities
    from activities.graphflow.node_end import FINAL
    from domain.graphflow.definition.graph import GraphNode
    from domain.graphflow.definition.node_types import LONGEST_PAUSE_S
    from domain.graphflow.execution.schedule_state import NodeIteration
    from workflows.graphflow.cancellation import is_cancellation, run_within
    from workflows.graphflow.clock import PauseClock
    from workflows.graphflow.event_queue import EventQueue
    from workflows.graphflow.failures import describe_failure
    from workflows.graphflow.map_node import record_end, run_map
    from workflows.graphflow.node_work import NodeExecutor
    from workflows.graphflow.progress import RunProgress
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT

PATCH_ANSWER_IN_ONE = "agents-answer-in-one"
"""Patch id. Older executions begin and end an agent's node in activities of their own."""


@dataclass(frozen=True)
class NodeRunner:
    """Runs the iterations of nodes. `asked` is the execution's input."""

    asked: RunRequest
    board: RunProgress
    work: NodeExecutor
    events: EventQueue
    clock: PauseClock = field(default_factory=PauseClock)

    async def run(self, visit: NodeIteration) -> AttemptEnd:
        """Attempt a node until it has ended for good."""
        spec, had = self.board.spec(visit.node), self.board.attempts.get(visit.node, 0)
        pause = spec.pause_s
        for attempt in range(had + 1, had + spec.attempts + 1):
            skipped = [*self.board.skipped]
            spot = NodeAttempt(self.asked, visit.node, visit.visit, attempt, skipped=skipped, now=workflow.now())
            tried = await self._try(spot, spec, again=attempt < had + spec.attempts)
            self.board.mark_recorded(skipped)
            if tried.status == "completed" or tried.final:
                break
            self.board.attempts[visit.node] = attempt
            self.board.mark(visit.node, f"attempt {attempt} failed: {tried.code}")
            await asyncio.sleep(pause)
            pause = min(pause * spec.backoff, LONGEST_PAUSE_S)
        return tried

    async def undo(self, visit: NodeIteration) -> bool:
        """Undo a node's work; False if it could not be undone, which is recorded."""
        spot = NodeAttempt(self.asked, visit.node, visit.visit, 1, undo=True)
        self.board.mark(visit.node, "is being undone")
        try:
            begun = await self.work.begin(spot)
            if begun.undo == []:
                return True  # the child execution has nothing to undo
            ending = await self.work.execute(spot, begun)
        except FailureError as error:
            ending = EndNodeRequest(spot, "failed", code=describe_failure(error)[0], error=describe_failure(error)[1])
        undone = CompensationResult(spot, ending.status, ending.error)
        await workflow.execute_local_activity_method(
            NodeActivities.end_undo, undone, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
        )
        return undone.status == "completed"

    async def _try(self, spot: NodeAttempt, spec: GraphNode, *, again: bool) -> AttemptEnd:
        if spot.node in self.board.kept:
            self.board.kept.discard(spot.node)
            return await record_end(EndNodeRequest(spot, "completed", "kept"))
        if spec.type == "transform" or spec.more.get("does") == "transform":
            return await self._run_transform(spot)
        bound = None if spec.type == "wait" else spec.timeout_s
        ending = await run_within(self._execute(spot, spec), bound)
        if isinstance(ending, AttemptEnd):
            return ending
        if ending is None:
            ending = EndNodeRequest(spot, "failed", code="TIMEOUT", error=f"the attempt took more than {bound} seconds")
        if self._is_rejected(spec, ending):
            decided = ending.decided.outcome if ending.decided else ""
            ending = replace(ending, status="rejected", code="REJECTED", error=f"it was {decided}")
        return await record_end(replace(ending, again=again and ending.code not in FINAL))

    async def _run_transform(self, spot: NodeAttempt) -> AttemptEnd:
        try:
            return await workflow.execute_local_activity_method(
                NodeActivities.transform_node, spot, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
            )
        except FailureError as error:
            if is_cancellation(error):
                raise
            code, message = describe_failure(error)
            return await record_end(EndNodeRequest(spot, "failed", code=code, error=message))

    async def _execute(self, spot: NodeAttempt, spec: GraphNode) -> AttemptEnd | EndNodeRequest:
        try:
            if spec.type == "agent" and workflow.patched(PATCH_ANSWER_IN_ONE):
                self.board.mark(spot.node, "is working")
                return await self.work.answer(spot)
            begun = await self.work.begin(spot)
            self.board.mark(spot.node, "is working")
            if begun.type == "wait":
                self.work.people.resting.add(spot.node)
                self.clock.begin(_iteration_key(spot))
                try:
                    return await self._run_wait(spot, begun)
                finally:
                    self.work.people.resting.discard(spot.node)
                    self.clock.end(_iteration_key(spot))
            if begun.type == "map":
                return await run_map(self.work, spot, begun, spec.more["parallel"], agents=self._maps_agents(spec))
            return await self.work.execute(spot, begun)
        except FailureError as error:
            if is_cancellation(error):
                raise
            code, message = describe_failure(error)
            return EndNodeRequest(spot, "failed", code=code, error=message)

    async def _run_wait(self, spot: NodeAttempt, begun: AttemptStart) -> EndNodeRequest:
        self.board.mark(spot.node, f"waits for {begun.event}" if begun.event else f"waits until {begun.until}")
        if begun.event is None:
            await _sleep_until(begun.until)
            return EndNodeRequest(spot, "completed", "waited")
        name = begun.event
        while (event := self.events.take(name)) is None:
            try:
                await self._wait_for_event(name, self.clock.shift(_iteration_key(spot), begun.until))
            except TimeoutError:
                return EndNodeRequest(spot, "completed", "waited", timed_out=True)
        return EndNodeRequest(spot, "completed", "waited", event.payload_hash)

    async def _wait_for_event(self, name: str, until: datetime | None) -> None:
        """Wait until there is an event of this name, or the execution's clock stops or resumes.

        Raises:
            TimeoutError: `until` has passed while the clock was running.
        """
        stopped = self.clock.is_stopped()
        await workflow.wait_condition(
            lambda: self.events.has(name) or self.clock.is_stopped() != stopped,
            timeout=None if stopped else _seconds_until(until),
        )

    @staticmethod
    def _maps_agents(spec: GraphNode) -> bool:
        return spec.more.get("does") == "agent" and workflow.patched(PATCH_ANSWER_IN_ONE)

    @staticmethod
    def _is_rejected(spec: GraphNode, ending: EndNodeRequest) -> bool:
        """Return whether a person rejected it and no edge has a condition on the decision."""
        decided = ending.decided
        return decided is not None and decided.outcome != "approved" and not spec.more.get("decides")


async def undo_completed(begun: RunStart, visits: NodeRunner) -> RunEnd:
    """Undo an execution's completed nodes, the latest first, and report those that could not be undone."""
    done = [NodeIteration(*each) for each in reversed(begun.completed)]
    left = [visit.node for visit in done if not await visits.undo(visit)]
    if not left:
        return RunEnd("completed")
    names = ", ".join(dict.fromkeys(left))
    return RunEnd("failed", node=left[0], code="NOT_UNDONE", reason=f"not undone: {names}")


def _iteration_key(spot: NodeAttempt) -> str:
    return f"{spot.node}:{spot.visit}"


async def _sleep_until(moment: datetime | None) -> None:
    left = _seconds_until(moment)
    if left:
        await asyncio.sleep(left)


def _seconds_until(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, (moment - workflow.now()).total_seconds())
