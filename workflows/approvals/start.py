"""The start of an approval workflow: by the activity that requests it, or by a client that finds it missing."""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.approvals.messages import ApprovalStart
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.start_options import RunLabels, start_options


async def start_approval(client: Client, start: ApprovalStart) -> None:
    """Start the approval workflow unless it runs already. Its workflow id is the approval's id."""
    ask = start.ask
    labels = RunLabels(
        kind="approval",
        of=ask.owner,
        agent_id=ask.agent_id,
        key_id=ask.key_id,
        request_id=ask.because,
        summary=f"{ask.risk} risk: {ask.title}",
        details=f"approval `{ask.approval_id}` · `{ask.workflow_id}` waits for it",
        project_id=ask.project_id,
    )
    await client.start_workflow(
        ApprovalWorkflow.run,
        start,
        **start_options(ask.approval_id, labels),
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
