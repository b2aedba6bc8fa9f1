"""The items of a map node, executed concurrently.

Long lists run in child workflows, so that no history grows too long.
"""

import asyncio
from dataclasses import dataclass, replace

from temporalio import workflow
from temporalio.exceptions import FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision
    from activities.graphflow.messages import AttemptEnd, AttemptStart, EndNodeRequest, NodeAttempt
    from activities.graphflow.node_activities import NodeActivities
    from workflows.graphflow.cancellation import cancel_and_wait, is_cancellation, run_to_completion
    from workflows.graphflow.failures import describe_failure
    from workflows.graphflow.messages import ItemsEnd, ItemsStart
    from workflows.graphflow.node_work import NodeExecutor, NodeWaits
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.turn import TurnRunner

ITEMS_PER_HISTORY = 50
"""Items per workflow history."""
ANSWERS_PER_HISTORY = 100
"""Items per workflow history where one activity per item, which takes fewer events, lets an agent answer."""


@workflow.defn(name="GraphItems")
class GraphItemsWorkflow:
    """A part of the items of a map node."""

    @workflow.init
    def __init__(self, start: ItemsStart) -> None:
        self._people = NodeWaits()
        turns = TurnRunner(
            start.model_queue,
            start.call_timeout_s,
            start.pause_s,
            start.spot.asked.project_id,
            root_id=start.spot.asked.root,
            budget_usd=start.spot.asked.budget_usd,
        )
        self._items = MapItems(
            NodeExecutor(turns, self._people), start.spot, start.parallel, start.goes_on, start.agents
        )

    @workflow.run
    async def run(self, start: ItemsStart) -> ItemsEnd:
        """Execute the items."""
        failed = await self._items.run(start.first, start.count)
        return ItemsEnd(failed.code, failed.error) if failed else ItemsEnd()

    @workflow.signal
    def approval_decided(self, decided: ApprovalDecision) -> None:
        """Report that an approval of an item was decided."""
        self._people.on_decision_signal(decided)


@dataclass(frozen=True)
class MapItems:
    """Executes items of a map node, `parallel` at a time; unless it `goes_on`, the first failure stops the others.

    With `agents` each item is answered by an agent, in one activity if one answer is enough.
    """

    work: NodeExecutor
    spot: NodeAttempt
    parallel: int
    goes_on: bool
    agents: bool

    async def run(self, first: int, count: int) -> AttemptEnd | None:
        """Execute `count` items from `first` on; return the failure that counts, if any."""
        room = asyncio.Semaphore(self.parallel)
        failures: list[AttemptEnd] = []

        async def one(item: int) -> None:
            async with room:
                ended = await self._run_item(replace(self.spot, item=item))
            if ended.status != "completed" and not self.goes_on:
                failures.append(ended)

        tasks = [asyncio.create_task(one(first + place)) for place in range(count)]
        try:
            await workflow.wait_condition(lambda: bool(failures) or all(task.done() for task in tasks))
        finally:
            await run_to_completion(cancel_and_wait([task for task in tasks if not task.done()]))
        for task in tasks:
            if not task.cancelled() and (broken := task.exception()) and not is_cancellation(broken):
                raise broken
        return failures[0] if failures else None

    async def _run_item(self, spot: NodeAttempt) -> AttemptEnd:
        try:
            ending = await self._execute(spot)
        except FailureError as error:
            if is_cancellation(error):
                raise
            code, message = describe_failure(error)
            ending = EndNodeRequest(spot, "failed", code=code, error=message)
        return ending if isinstance(ending, AttemptEnd) else await record_end(ending)

    async def _execute(self, spot: NodeAttempt) -> AttemptEnd | EndNodeRequest:
        if self.agents:
            return await self.work.answer(spot)
        begun = await self.work.begin(spot)
        return AttemptEnd("completed") if begun.is_done else await self.work.execute(spot, begun)


async def run_map(
    work: NodeExecutor, spot: NodeAttempt, begun: AttemptStart, parallel: int, *, agents: bool
) -> EndNodeRequest:
    """Execute all items of a map node; with `agents` each is answered by an agent."""
    spot = replace(spot, seen=begun.seen, skipped=[])
    failed = await _run_all(work, spot, begun, parallel, agents=agents)
    if failed is None:
        return EndNodeRequest(spot, "completed", "items", count=begun.items)
    return EndNodeRequest(spot, "failed", code=failed.code or "ITEM_FAILED", error=f"an item: {failed.error}")


async def _run_all(
    work: NodeExecutor, spot: NodeAttempt, begun: AttemptStart, parallel: int, *, agents: bool
) -> AttemptEnd | None:
    most = ANSWERS_PER_HISTORY if agents else ITEMS_PER_HISTORY
    if begun.items <= most:
        return await MapItems(work, spot, parallel, begun.goes_on, agents).run(0, begun.items)
    for first in range(0, begun.items, most):
        part = ItemsStart(
            spot,
            first,
            min(most, begun.items - first),
            parallel,
            begun.goes_on,
            work.turns.model_queue,
            work.turns.call_timeout_s,
            work.turns.pause_s,
            agents,
        )
        over = await workflow.execute_child_workflow(
            GraphItemsWorkflow.run,
            part,
            id=f"{spot.asked.execution_id}/{spot.node}/{spot.visit}/{spot.attempt}/{first}",
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"{spot.node}: items {first + 1} to {first + part.count}",
        )
        if over.error is not None:
            return AttemptEnd("failed", code=over.code, error=over.error)
    return None


async def record_end(ending: EndNodeRequest) -> AttemptEnd:
    """Record the end of an attempt or of an item."""
    return await workflow.execute_local_activity_method(
        NodeActivities.end_node, ending, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
    )
