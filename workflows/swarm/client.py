"""The runs of the workflow `Swarm`: start one, stop it, and ask what it was started with."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.swarm.activities import Asked
from domain.errors import Conflict, NotFound, Unavailable
from domain.swarm.members import PREFIX
from workflows.confirmation import confirmed
from workflows.search_attributes import attributes
from workflows.swarm.messages import SwarmCancel, SwarmStart
from workflows.swarm.workflow import Swarm
from workflows.task_queues import FLOW

_GONE = {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}


class SwarmRuns:
    """Every absence of Temporal is a `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, start: SwarmStart) -> bool:
        """Start the run of a task; False when it has one already, whether that is over or not."""
        asked = start.asked
        async with confirmed():
            try:
                await self._client.start_workflow(
                    Swarm.run,
                    start,
                    id=asked.task_id,
                    task_queue=FLOW,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    memo={"request_id": asked.because},
                    search_attributes=attributes(
                        "swarm",
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
        """Have it stop; that it has stopped is told by its status.

        Raises:
            Conflict: it is over.
        """
        with _reachable():
            try:
                await self._client.get_workflow_handle(task_id).signal(Swarm.cancel, cancel)
            except RPCError as error:
                if error.status in _GONE:
                    raise Conflict("this swarm is over", task_id=task_id) from error
                raise

    async def asked(self, task_id: str) -> Asked:
        """What a run was asked for, from its history: for when nothing of it is known elsewhere yet.

        Raises:
            NotFound: there is no such run.
        """
        if not task_id.startswith(PREFIX):
            raise NotFound("there is no such swarm")
        with _reachable():
            try:
                history = self._client.get_workflow_handle(task_id).fetch_history_events(page_size=1)
                first = await anext(aiter(history))
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    raise NotFound("there is no such swarm") from error
                raise
        began = first.workflow_execution_started_event_attributes
        if began.workflow_type.name != "Swarm":
            raise NotFound("there is no such swarm")
        start: SwarmStart
        [start] = await self._client.data_converter.decode(began.input.payloads, [SwarmStart])
        return start.asked


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        raise Unavailable(f"Temporal cannot be reached ({error.status.name})", retry_after=2) from error
