"""Client of the workflow `RunbookWorkflow`."""

from temporalio.client import Client

from workflows.runbooks.messages import RunbookStart
from workflows.runbooks.workflow import RunbookWorkflow
from workflows.start_options import RunLabels, start_once


class RunbookClient:
    """Starts runs of runbooks. The workflow id is the run's id."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, run_id: str) -> bool:
        """Start a run; False if its workflow runs already. One that has ended in the ledger ends at once.

        Raises:
            Unavailable: Temporal has not confirmed the start. It may have the call all the same.
        """
        labels = RunLabels(
            kind="runbook",
            of=run_id,
            agent_id="platform",
            key_id="platform",
            request_id=run_id,
            summary="Run a runbook",
            details=f"run `{run_id}`",
        )
        return await start_once(self._client, RunbookWorkflow.run, RunbookStart(run_id), labels, again=True)
