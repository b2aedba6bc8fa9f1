"""The start of an approval workflow: by the activity that requests it, or by a client that finds it missing."""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.approvals.messages import ApprovalStart
from workflows.approvals.notices import truncate_summary
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.search_attributes import build_search_attributes
from workflows.task_queues import WORKFLOW_QUEUE


async def start_approval(client: Client, start: ApprovalStart) -> None:
    """Start the approval workflow unless it runs already. Its workflow id is the approval's id."""
    ask = start.ask
    await client.start_workflow(
        ApprovalWorkflow.run,
        start,
        id=ask.approval_id,
        task_queue=WORKFLOW_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        memo={"request_id": ask.because},
        search_attributes=build_search_attributes(
            "approval", of=ask.owner, agent_id=ask.agent_id, key_id=ask.key_id, project_id=ask.project_id
        ),
        static_summary=truncate_summary(f"{ask.risk} risk: {ask.title}"),
        static_details=f"approval `{ask.approval_id}` · `{ask.workflow_id}` waits for it",
    )
