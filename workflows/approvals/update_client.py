"""Client of the workflow `Approval`: sends updates to it, and starts it again if it is missing."""

import asyncio
from typing import Literal

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as UpdateCancelled
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.approvals.messages import ApprovalStart, InstructionRef
from domain.approvals.instructions import Verb
from domain.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unavailable
from workflows.approvals.start import start_approval
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.temporal_rpc import RUN_IS_GONE, confirmed, reachable, unavailable

ANSWER_TIMEOUT_S = 12.0
"""Seconds to wait for a worker to record a decision; after that it is handed over as a signal."""
_BUSY_ATTEMPTS = 6
_BUSY_PAUSE_S = 0.1
_ENDED = "AcceptedUpdateCompletedWorkflow"
_REFUSALS: dict[str, type[DomainError]] = {
    "Forbidden": Forbidden,
    "Invalid": Invalid,
    "Conflict": Conflict,
    "NotFound": NotFound,
}
_UPDATES = {
    "approve": ApprovalWorkflow.decide,
    "reject": ApprovalWorkflow.decide,
    "delegate": ApprovalWorkflow.delegate,
    "escalate": ApprovalWorkflow.escalate,
}

SubmissionResult = Literal["done", "over", "gone", "handed_over"]
"""`done`, `over` (decided before), `gone` (no workflow runs), or `handed_over` (a worker will execute it later)."""


class ApprovalClient:
    """Sends decisions to approval workflows. Refusals and failures to reach Temporal are raised as `Refused`."""

    def __init__(self, client: Client, *, notices: bool) -> None:
        self._client = client
        self.notices = notices

    async def submit(self, approval_id: str, verb: Verb, order: InstructionRef) -> SubmissionResult:
        """Execute a decision in the approval's workflow. Idempotent by its command id.

        Raises:
            Forbidden, Invalid, Conflict: the decision is not allowed.
            Unavailable: Temporal cannot be reached.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._execute_update(approval_id, verb, order)
        except (TimeoutError, UpdateCancelled, Unavailable):  # the update may have been accepted: same command id
            return await self._hand_over(approval_id, verb, order)

    async def start(self, start: ApprovalStart) -> None:
        """Start the workflow of an approval again after it was lost."""
        with reachable():
            await start_approval(self._client, start)

    async def _hand_over(self, approval_id: str, verb: Verb, order: InstructionRef) -> SubmissionResult:
        """Send the decision as a signal, which Temporal keeps until a worker runs.

        The workflow executes a command id once, whether the update or the signal arrives first.
        """
        handle = self._client.get_workflow_handle(approval_id)
        async with confirmed():
            try:
                await handle.signal(ApprovalWorkflow.carry, args=[order, verb])
            except RPCError as error:
                if error.status in RUN_IS_GONE:
                    return "gone"
                raise
        return "handed_over"

    async def _execute_update(self, approval_id: str, verb: Verb, order: InstructionRef) -> SubmissionResult:
        handle = self._client.get_workflow_handle(approval_id)
        for attempt in range(_BUSY_ATTEMPTS):
            try:
                await handle.execute_update(_UPDATES[verb], order, id=order.command_id)
            except WorkflowUpdateFailedError as error:
                return _map_failure(error)
            except RPCError as error:
                if error.status in RUN_IS_GONE:
                    return "gone"
                if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                    raise unavailable(error) from error
                await asyncio.sleep(_BUSY_PAUSE_S * 2**attempt)  # Temporal limits a workflow's concurrent updates
            else:
                return "done"
        raise Unavailable("too many decisions on this approval are in progress", retry_after=1)


def _map_failure(error: WorkflowUpdateFailedError) -> SubmissionResult:
    cause = error.cause
    if not isinstance(cause, ApplicationError) or cause.type is None:
        raise RuntimeError(f"the approval's workflow failed: {cause}")
    if cause.type == "AlreadyDecided":
        return "over"
    if cause.type == _ENDED:
        return "gone"
    if cause.type not in _REFUSALS:
        raise RuntimeError(f"the approval's workflow failed: {cause}")
    details = cause.details[0] if cause.details and isinstance(cause.details[0], dict) else {}
    raise _REFUSALS[cause.type](cause.message, **details)
