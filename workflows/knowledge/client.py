"""Client of the workflow `IngestWorkflow`."""

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy

from domain.knowledge.aggregate import OWNER_PREFIX
from workflows.knowledge.messages import IngestStart
from workflows.knowledge.workflow import SUBMITTED_SIGNAL, IngestWorkflow
from workflows.start_options import RunLabels, start_options
from workflows.temporal_rpc import confirmed


def workflow_id(owner: str) -> str:
    """Return the id of a document's workflow."""
    return f"ingest-{owner.removeprefix(OWNER_PREFIX)}"


class IngestClient:
    """Starts the workflow of a document, or reports a submission to one that runs."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, owner: str) -> bool:
        """Have the newest generation of a document indexed.

        Raises:
            Unavailable: Temporal has not confirmed it. It may have the call all the same.
        """
        labels = RunLabels(
            kind="ingest",
            of=owner,
            agent_id="platform",
            key_id="platform",
            request_id=workflow_id(owner),
            summary="Index a document",
            details=f"document `{owner.removeprefix(OWNER_PREFIX)}`",
        )
        async with confirmed():
            await self._client.start_workflow(
                IngestWorkflow.run,
                IngestStart(owner),
                **start_options(workflow_id(owner), labels),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                start_signal=SUBMITTED_SIGNAL,
            )
        return True
