"""The task queues of the platform in Temporal: who polls them, and what waits there."""

import asyncio
from collections.abc import Sequence
from datetime import UTC

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, GetSystemInfoRequest
from temporalio.client import Client

from domain.runbooks.ports import QueuePoller, QueueState
from workflows.temporal_rpc import reachable

_KINDS = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


class TemporalTaskQueues:
    """`domain.runbooks.ports.TaskQueues` on Temporal. A worker stays listed for five minutes after its last poll."""

    def __init__(self, client: Client, queues: Sequence[str]) -> None:
        self._client = client
        self._queues = tuple(dict.fromkeys(queues))

    async def states(self) -> list[QueueState]:
        """Return all queues; those of activities only have no pollers of the kind `workflow`.

        Raises:
            Unavailable: Temporal cannot be reached.
        """
        with reachable():
            found = await asyncio.gather(*(self._state(queue, kind) for queue in self._queues for kind in _KINDS))
        return [state for state in found if state.kind == "activity" or state.pollers or state.backlog]

    async def version(self) -> str:
        """Return the version of the server.

        Raises:
            Unavailable: Temporal cannot be reached.
        """
        with reachable():
            return (await self._client.workflow_service.get_system_info(GetSystemInfoRequest())).server_version

    async def _state(self, queue: str, kind: str) -> QueueState:
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=_KINDS[kind],
            report_stats=True,
        )
        found = await self._client.workflow_service.describe_task_queue(request)
        return QueueState(
            queue,
            kind,
            tuple(_poller(each) for each in found.pollers),
            found.stats.approximate_backlog_count,
            found.stats.approximate_backlog_age.ToNanoseconds() / 1e9,
        )


def _poller(found: PollerInfo) -> QueuePoller:
    seen = found.last_access_time.ToDatetime(tzinfo=UTC) if found.HasField("last_access_time") else None
    build_id = found.deployment_options.build_id or found.worker_version_capabilities.build_id
    return QueuePoller(found.identity, seen, build_id or None)
