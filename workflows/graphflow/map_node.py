"""The items of a map node, executed concurrently.

Long lists run in child workflows, so that no history grows too long.
"""

import asyncio
from dataclasses import dataclass, replace

from temporalio import workflow
from temporalio.exceptions import FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import Decided
    from activities.graphflow.messages import Begun, Ended, Ending, Spot
    from activities.graphflow.node_activities import NodeActivities
    from workflows.graphflow.messages import ItemsOver, ItemsStart
    from workflows.graphflow.node_work import People, Work
    from workflows.graphflow.task_helpers import is_cancellation, stopped, surely, why
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.turn import Turns

PART = 50
"""Items per workflow history."""
PART_OF_ANSWERS = 100
"""Items per workflow history where one activity per item, which takes fewer events, lets an agent answer."""


@workflow.defn(name="GraphItems")
class GraphItems:
    """A part of the items of a map node."""

    @workflow.init
    def __init__(self, start: ItemsStart) -> None:
        self._people = People()
        turns = Turns(
            start.model_queue,
            start.call_timeout_s,
            start.pause_s,
            start.spot.asked.project_id,
            root_id=start.spot.asked.root,
            budget_usd=start.spot.asked.budget_usd,
        )
        self._items = Items(Work(turns, self._people), start.spot, start.parallel, start.goes_on, start.agents)

    @workflow.run
    async def run(self, start: ItemsStart) -> ItemsOver:
        """Execute the items."""
        failed = await self._items.each(start.first, start.count)
        return ItemsOver(failed.code, failed.error) if failed else ItemsOver()

    @workflow.signal
    def approval_decided(self, decided: Decided) -> None:
        """Report that an approval of an item was decided."""
        self._people.decided(decided)


@dataclass(frozen=True)
class Items:
    """Executes items of a map node, `parallel` at a time; unless it `goes_on`, the first failure stops the others.

    With `agents` each item is answered by an agent, in one activity if one answer is enough.
    """

    work: Work
    spot: Spot
    parallel: int
    goes_on: bool
    agents: bool

    async def each(self, first: int, count: int) -> Ended | None:
        """Execute `count` items from `first` on; return the failure that counts, if any."""
        room = asyncio.Semaphore(self.parallel)
        failures: list[Ended] = []

        async def one(item: int) -> None:
            async with room:
                ended = await self._one(replace(self.spot, item=item))
            if ended.status != "completed" and not self.goes_on:
                failures.append(ended)

        tasks = [asyncio.create_task(one(first + place)) for place in range(count)]
        try:
            await workflow.wait_condition(lambda: bool(failures) or all(task.done() for task in tasks))
        finally:
            await surely(stopped([task for task in tasks if not task.done()]))
        for task in tasks:
            if not task.cancelled() and (broken := task.exception()) and not is_cancellation(broken):
                raise broken
        return failures[0] if failures else None

    async def _one(self, spot: Spot) -> Ended:
        try:
            ending = await self._brought(spot)
        except FailureError as error:
            if is_cancellation(error):
                raise
            code, message = why(error)
            ending = Ending(spot, "failed", code=code, error=message)
        return ending if isinstance(ending, Ended) else await ended(ending)

    async def _brought(self, spot: Spot) -> Ended | Ending:
        if self.agents:
            return await self.work.answered(spot)
        begun = await self.work.begun(spot)
        return Ended("completed") if begun.is_done else await self.work.done(spot, begun)


async def mapped(work: Work, spot: Spot, begun: Begun, parallel: int, *, agents: bool) -> Ending:
    """Execute all items of a map node; with `agents` each is answered by an agent."""
    spot = replace(spot, seen=begun.seen, skipped=[])
    failed = await _all(work, spot, begun, parallel, agents=agents)
    if failed is None:
        return Ending(spot, "completed", "items", count=begun.items)
    return Ending(spot, "failed", code=failed.code or "ITEM_FAILED", error=f"an item: {failed.error}")


async def _all(work: Work, spot: Spot, begun: Begun, parallel: int, *, agents: bool) -> Ended | None:
    most = PART_OF_ANSWERS if agents else PART
    if begun.items <= most:
        return await Items(work, spot, parallel, begun.goes_on, agents).each(0, begun.items)
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
            GraphItems.run,
            part,
            id=f"{spot.asked.execution_id}/{spot.node}/{spot.visit}/{spot.attempt}/{first}",
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"{spot.node}: items {first + 1} to {first + part.count}",
        )
        if over.error is not None:
            return Ended("failed", code=over.code, error=over.error)
    return None


async def ended(ending: Ending) -> Ended:
    """Record the end of an attempt or of an item."""
    return await workflow.execute_local_activity_method(
        NodeActivities.end_node, ending, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
    )
