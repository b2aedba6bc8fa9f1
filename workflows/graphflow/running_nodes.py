"""The nodes of an execution that run now, as tasks of its workflow."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.graphflow.messages import AttemptEnd
    from domain.graphflow.execution.schedule_state import NodeIteration
    from workflows.graphflow.node_attempts import NodeRunner
    from workflows.graphflow.progress import RunProgress

MAX_CONCURRENT_NODES = 50
"""Maximum number of nodes that run concurrently."""


@dataclass
class RunningNodes:
    """The running nodes: tasks by iteration, and iterations that have ended and are to be settled."""

    visits: NodeRunner
    tasks: dict[NodeIteration, "asyncio.Task[AttemptEnd]"] = field(default_factory=dict)
    ended: deque[NodeIteration] = field(default_factory=deque)

    @property
    def board(self) -> RunProgress:
        return self.visits.board

    def has_room(self) -> bool:
        return len(self.tasks) < MAX_CONCURRENT_NODES

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
            self.board.settle(visit, self.tasks.pop(visit).result())

    def settle_rest(self) -> None:
        """Apply the remaining ends once nothing runs any more; cancelled nodes stay as they are."""
        for visit, task in self.tasks.items():
            if task.done() and not task.cancelled() and task.exception() is None:
                self.board.settle(visit, task.result())
        self.tasks.clear()

    def is_resting(self) -> bool:
        """Return whether all running nodes only wait, in a way that the next run can take over."""
        return not self.ended and self.visits.work.people.resting.issuperset(visit.node for visit in self.tasks)
