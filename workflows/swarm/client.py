"""Client of the workflow `Swarm`: starts and cancels swarms, reads their input."""

from temporalio.client import Client

from activities.swarm.messages import SwarmRunRequest
from domain.errors import Conflict
from domain.swarm.members import PREFIX
from workflows.start_options import RunLabels, start_once
from workflows.swarm.messages import SwarmCancel, SwarmStart
from workflows.swarm.workflow import SwarmWorkflow
from workflows.temporal_rpc import reachable, start_input


class SwarmClient:
    """Reaches swarm workflows. Failures to reach Temporal are raised as `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, start: SwarmStart) -> bool:
        """Start the workflow of a task; False when one exists already, running or ended."""
        asked = start.asked
        labels = RunLabels(
            kind="swarm",
            of=asked.task_id,
            agent_id=asked.coordinator.agent_id,
            key_id=asked.key_id,
            request_id=asked.because,
            summary=f"Swarm, {asked.mode}: {', '.join(member.agent_id for member in asked.members)}",
            details=f"task `{asked.task_id}` · coordinator `{asked.coordinator.agent_id}`",
            project_id=asked.project_id,
        )
        return await start_once(self._client, SwarmWorkflow.run, start, labels)

    async def cancel(self, task_id: str, cancel: SwarmCancel) -> None:
        """Request cancellation; the task's status shows when it has stopped.

        Raises:
            Conflict: the swarm is over.
        """
        with reachable(over=Conflict("this swarm is over", task_id=task_id)):
            await self._client.get_workflow_handle(task_id).signal(SwarmWorkflow.cancel, cancel)

    async def read_input(self, task_id: str) -> SwarmRunRequest:
        """Read a swarm's input from the workflow's history, for when no view has it yet.

        Raises:
            NotFound: there is no such swarm.
        """
        start = await start_input(
            self._client, task_id, prefix=PREFIX, workflow="Swarm", of=SwarmStart, absent="there is no such swarm"
        )
        return start.asked
