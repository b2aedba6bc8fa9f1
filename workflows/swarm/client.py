"""Client of the workflow `Swarm`: starts and cancels swarms, reads their input."""

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.swarm.messages import SwarmRunRequest
from domain.errors import Conflict, NotFound
from domain.swarm.members import PREFIX
from workflows.search_attributes import build_search_attributes
from workflows.swarm.messages import SwarmCancel, SwarmStart
from workflows.swarm.workflow import SwarmWorkflow
from workflows.task_queues import WORKFLOW_QUEUE
from workflows.temporal_rpc import RUN_IS_GONE, confirmed, reachable, start_input


class SwarmClient:
    """Reaches swarm workflows. Failures to reach Temporal are raised as `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, start: SwarmStart) -> bool:
        """Start the workflow of a task; False when one exists already, running or ended."""
        asked = start.asked
        async with confirmed():
            try:
                await self._client.start_workflow(
                    SwarmWorkflow.run,
                    start,
                    id=asked.task_id,
                    task_queue=WORKFLOW_QUEUE,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={"request_id": asked.because},
                    search_attributes=build_search_attributes(
                        "swarm",
                        of=asked.task_id,
                        agent_id=asked.coordinator.agent_id,
                        key_id=asked.key_id,
                        project_id=asked.project_id,
                    ),
                    static_summary=f"Swarm, {asked.mode}: {', '.join(member.agent_id for member in asked.members)}",
                    static_details=f"task `{asked.task_id}` · coordinator `{asked.coordinator.agent_id}`",
                )
            except WorkflowAlreadyStartedError:
                return False
        return True

    async def cancel(self, task_id: str, cancel: SwarmCancel) -> None:
        """Request cancellation; the task's status shows when it has stopped.

        Raises:
            Conflict: the swarm is over.
        """
        with reachable():
            try:
                await self._client.get_workflow_handle(task_id).signal(SwarmWorkflow.cancel, cancel)
            except RPCError as error:
                if error.status in RUN_IS_GONE:
                    raise Conflict("this swarm is over", task_id=task_id) from error
                raise

    async def read_input(self, task_id: str) -> SwarmRunRequest:
        """Read a swarm's input from the workflow's history, for when no view has it yet.

        Raises:
            NotFound: there is no such swarm.
        """
        absent = "there is no such swarm"
        if not task_id.startswith(PREFIX):
            raise NotFound(absent)
        start = await start_input(self._client, task_id, workflow="Swarm", of=SwarmStart, absent=absent)
        return start.asked
