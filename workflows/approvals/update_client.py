"""The runs of the workflow `Approval`: tell one what is to be done, and start one that is gone."""

import asyncio
from typing import Literal

from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as UpdateCancelled
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.approvals.messages import ApprovalStart, Order
from domain.approvals.instructions import Verb
from domain.errors import Conflict, Forbidden, Invalid, NotFound, Refused, Unavailable
from workflows.approvals.start import start_approval
from workflows.approvals.workflow import Approval
from workflows.temporal_rpc import RUN_IS_GONE, confirmed, reachable, unavailable

ANSWER_TIMEOUT_S = 12.0
"""A decision that no worker has recorded after this long (seconds) is handed over without one."""
_BUSY_TRIES = 6
_BUSY_PAUSE_S = 0.1
_ENDED = "AcceptedUpdateCompletedWorkflow"
_REFUSALS: dict[str, type[Refused]] = {
    "Forbidden": Forbidden,
    "Invalid": Invalid,
    "Conflict": Conflict,
    "NotFound": NotFound,
}
_UPDATES = {
    "approve": Approval.decide,
    "reject": Approval.decide,
    "delegate": Approval.delegate,
    "escalate": Approval.escalate,
}

Told = Literal["done", "over", "gone", "handed_over"]
"""It was done; it was not, as it is decided; there is no run (any more) that could say; or it will be done."""


class ApprovalRuns:
    """Every other refusal of a run and every absence of Temporal is a `Refused`."""

    def __init__(self, client: Client, *, notices: bool) -> None:
        self._client = client
        self.notices = notices

    async def tell(self, approval_id: str, verb: Verb, order: Order) -> Told:
        """Have the run do it. The same order again is done once.

        Raises:
            Forbidden, Invalid, Conflict: it may not be done.
            Unavailable: Temporal cannot be reached.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._tell(approval_id, verb, order)
        except (TimeoutError, UpdateCancelled, Unavailable):  # it may have arrived all the same
            return await self._hand_over(approval_id, verb, order)

    async def start(self, start: ApprovalStart) -> None:
        """Give an approval that has lost its run another one."""
        with reachable():
            await start_approval(self._client, start)

    async def _hand_over(self, approval_id: str, verb: Verb, order: Order) -> Told:
        """Have Temporal keep it until there is a worker. The run does it once, whichever way it comes first."""
        handle = self._client.get_workflow_handle(approval_id)
        async with confirmed():
            try:
                await handle.signal(Approval.carry, args=[order, verb])
            except RPCError as error:
                if error.status in RUN_IS_GONE:
                    return "gone"
                raise
        return "handed_over"

    async def _tell(self, approval_id: str, verb: Verb, order: Order) -> Told:
        handle = self._client.get_workflow_handle(approval_id)
        for attempt in range(_BUSY_TRIES):
            try:
                await handle.execute_update(_UPDATES[verb], order, id=order.command_id)
            except WorkflowUpdateFailedError as error:
                return _refused(error)
            except RPCError as error:
                if error.status in RUN_IS_GONE:
                    return "gone"
                if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                    raise unavailable(error) from error
                await asyncio.sleep(_BUSY_PAUSE_S * 2**attempt)  # many decide at once; those in front are soon done
            else:
                return "done"
        raise Unavailable("too many decide this at once", retry_after=1)


def _refused(error: WorkflowUpdateFailedError) -> Told:
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
