"""Client of the workflow `ErasureWorkflow`."""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from workflows.erasures.messages import ErasureStart
from workflows.erasures.workflow import ErasureWorkflow
from workflows.start_options import RunLabels, start_options
from workflows.temporal_rpc import confirmed

IN_FLIGHT_S = 2.0
"""Seconds within which what was on its way to the views, to Temporal or to a stored response has arrived."""


class ErasureClient:
    """Starts erasures. Processes cache texts for `text_cache_s` seconds; the second pass comes after that."""

    def __init__(self, client: Client, text_cache_s: float) -> None:
        self._client = client
        self._pause_s = text_cache_s + IN_FLIGHT_S

    async def start(self, erasure_id: str) -> bool:
        """Start an erasure; False if it runs already.

        Raises:
            Unavailable: Temporal has not confirmed the start. It may have the call all the same.
        """
        labels = RunLabels(
            kind="erasure",
            of=erasure_id,
            agent_id="platform",
            key_id="platform",
            request_id=erasure_id,
            summary="Erase all texts of a subject",
            details=f"erasure `{erasure_id}`",
        )
        options = start_options(workflow_id(erasure_id), labels)
        async with confirmed():
            try:
                await self._client.start_workflow(
                    ErasureWorkflow.run,
                    ErasureStart(erasure_id, self._pause_s),
                    **options,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                )
            except WorkflowAlreadyStartedError:
                return False
        return True


def workflow_id(erasure_id: str) -> str:
    return f"erasure-{erasure_id}"
