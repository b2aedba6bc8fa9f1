"""The admission of messages to a session, as its workflow decides it."""

from collections.abc import Collection

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import SessionHead
    from workflows.chat.messages import ChatMessage

SESSION_ENDED = "this session has ended"
_MAX_ATTEMPTS = 1_000_000


def admit_message(
    say: ChatMessage, head: SessionHead | None, *, turn: int, has_ended: bool, approvals: Collection[str]
) -> None:
    """Refuse a message that the session cannot answer. `turn` is its newest turn; it waits for these `approvals`.

    Raises:
        ApplicationError: there is no such session or turn (`NotFound`), or it takes no such message now (`Conflict`).
    """
    if head is None:
        raise ApplicationError("there is no such session", type="NotFound", non_retryable=True)
    if not _has_valid_turn(say, turn):  # an unchecked turn number would be used to read the turns before it
        raise ApplicationError("the session has no such turn", type="NotFound", non_retryable=True)
    if has_ended:
        raise ApplicationError(SESSION_ENDED, type="Conflict", non_retryable=True)
    if approvals:
        raise ApplicationError(
            f"this session waits for {', '.join(sorted(approvals))}", type="Conflict", non_retryable=True
        )
    if head.agent_id != say.agent_id:
        raise ApplicationError(f"this session is with {head.agent_id}", type="Conflict", non_retryable=True)


def _has_valid_turn(say: ChatMessage, newest: int) -> bool:
    """Return whether a retry names a turn that has begun and a valid attempt number."""
    return 1 <= say.visit <= _MAX_ATTEMPTS and (say.again is None or 1 <= say.again <= newest)
