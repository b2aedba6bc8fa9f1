"""The preconditions of commands about an approval, checked before a command is accepted."""

import re

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalState, InstructionRef

_HASH = re.compile("[0-9a-f]{64}")
_MAX_ID = 128


def check_command(order: InstructionRef, state: ApprovalState) -> None:
    """Reject a command that cannot be executed.

    Raises:
        ApplicationError: the approval is decided (`AlreadyDecided`), or the command is malformed (`Invalid`).
    """
    if not (_HASH.fullmatch(order.instruction_hash) and 0 < len(order.command_id) <= _MAX_ID):
        raise ApplicationError("the command is malformed", type="Invalid", non_retryable=True)
    refuse_decided(state)


def refuse_decided(state: ApprovalState) -> None:
    """Raise `AlreadyDecided` if the approval is decided."""
    decided = state.decided
    if decided is not None:
        raise ApplicationError(
            f"this approval was {decided.outcome} already",
            {"approval_id": decided.approval_id, "status": decided.outcome, "by": decided.by},
            type="AlreadyDecided",
            non_retryable=True,
        )
