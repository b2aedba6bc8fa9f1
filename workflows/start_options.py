"""The options that every run is started with, and a start that happens once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from workflows.search_attributes import build_search_attributes, truncate_summary
from workflows.task_queues import WORKFLOW_QUEUE
from workflows.temporal_rpc import confirmed


@dataclass(frozen=True, slots=True)
class RunLabels:
    """The labels by which the Temporal Web UI finds and shows a run; `of` is the session or run that names its tenant.

    `request_id` is that of the request that starts it.
    """

    kind: str
    of: str
    agent_id: str
    key_id: str
    request_id: str
    summary: str
    details: str
    project_id: str | None = None


def start_options(workflow_id: str, labels: RunLabels) -> dict[str, Any]:
    """Return the options of `Client.start_workflow` that do not depend on the kind of run."""
    return {
        "id": workflow_id,
        "task_queue": WORKFLOW_QUEUE,
        "memo": {"request_id": labels.request_id},
        "search_attributes": build_search_attributes(
            labels.kind,
            of=labels.of,
            agent_id=labels.agent_id,
            key_id=labels.key_id,
            project_id=labels.project_id,
        ),
        "static_summary": truncate_summary(labels.summary),
        "static_details": labels.details,
    }


async def start_once(
    client: Client, run: Callable[..., Awaitable[Any]], start: Any, labels: RunLabels, *, again: bool = False
) -> bool:
    """Start the run that `labels` are of; False when one exists already, running or ended.

    With `again` one that has ended is started again.

    Raises:
        Unavailable: Temporal has not confirmed the start. It may have the call all the same.
    """
    async with confirmed():
        try:
            await client.start_workflow(
                run,
                start,
                **start_options(labels.of, labels),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE
                if again
                else WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            )
        except WorkflowAlreadyStartedError:
            return False
    return True
