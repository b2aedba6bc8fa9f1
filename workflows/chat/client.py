"""Client of the workflow `ChatWorkflow`: starts, ends and reads a session, and sends its messages."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as UpdateCancelled
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.chat.messages import EndSessionRequest
from domain.errors import Conflict, DomainError, NotFound, Unavailable
from workflows.chat.messages import MOVED, ChatMessage, ChatResult, ChatStart
from workflows.chat.session_state import SessionState, query_state
from workflows.chat.workflow import ChatWorkflow
from workflows.start_options import RunLabels, start_options
from workflows.temporal_rpc import RUN_IS_GONE, confirmed, reachable, unavailable

T = TypeVar("T")

RESPONSE_TIMEOUT_S = 10.0
"""Seconds to wait for an answer before checking that the message has been accepted."""
ACCEPT_TIMEOUT_S = 2.0
"""Seconds to wait for a worker to accept a message before delivering it as a signal."""
_ATTEMPTS = 4
_NEXT_RUN_ERRORS = {"AcceptedUpdateCompletedWorkflow", MOVED}
_REFUSALS: dict[str | None, type[DomainError]] = {
    "NotFound": NotFound,
    "Conflict": Conflict,
    "SERVICE_UNAVAILABLE": Unavailable,
}


def workflow_id(session_id: str) -> str:
    return f"chat-{session_id}"


class ChatClient:
    """Reaches session workflows. Refusals and failures to reach Temporal are raised as `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send_message(
        self, start: ChatStart, say: ChatMessage, *, timeout_s: float, is_known: bool
    ) -> ChatResult | None:
        """Send a message; None when it is stored durably but not answered after `timeout_s` seconds.

        Raises:
            NotFound, Conflict: the workflow refuses the message.
            Unavailable: Temporal cannot be reached.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        answered = partial(self._update_or_start, start, say, is_known=is_known)
        try:
            said = await _await_within(min(timeout_s, RESPONSE_TIMEOUT_S), answered)
            is_safe = said is not None or await _await_within(ACCEPT_TIMEOUT_S, partial(self._is_accepted, start, say))
        except Unavailable:  # the message may have been accepted before the failure
            said, is_safe = None, False
        if not is_safe:
            await self._signal_message(start, say)
        if said is None:
            with suppress(Unavailable):  # the message is stored already
                said = await _await_within(end - loop.time(), answered)
        return said

    async def end_session(self, ending: EndSessionRequest, start: ChatStart | None) -> bool:
        """End the session in its workflow; with `start` a workflow is started if none runs.

        Returns False if no worker has confirmed it: a signal will end the session as soon as a worker runs.
        """
        update_id = f"end-{ending.session_id}"

        async def ask(_: int) -> bool:
            if start is None:
                handle = self._get_handle(ending.session_id)
                await handle.execute_update(ChatWorkflow.end, ending, id=update_id)
                return True
            with self._start_operation(start) as opening:
                await self._client.execute_update_with_start_workflow(
                    ChatWorkflow.end, ending, id=update_id, start_workflow_operation=opening
                )
            return True

        with suppress(Unavailable):  # the update may have been accepted; the signal below is idempotent
            if await _await_within(RESPONSE_TIMEOUT_S, partial(_retry_on_next_run, ask)):
                return True
        await self._signal(ending.session_id, start, "close", ending)
        return False

    async def cancel_session(self, session_id: str) -> None:
        """Cancel the session's workflow; open messages fail."""
        with reachable():
            await self._get_handle(session_id).cancel()

    async def read_state(self, session_id: str) -> SessionState:
        """Return whether a session is open and how many messages are pending."""
        return await query_state(self._get_handle(session_id))

    def _get_handle(self, session_id: str) -> WorkflowHandle[ChatWorkflow, None]:
        return self._client.get_workflow_handle(workflow_id(session_id))

    async def _update_or_start(self, start: ChatStart, say: ChatMessage, *, is_known: bool) -> ChatResult:
        """Update the running workflow, or start one: an idle chat has none."""

        async def ask(attempt: int) -> ChatResult:
            if is_known and attempt == 0:
                handle = self._get_handle(start.session_id)
                return await handle.execute_update(ChatWorkflow.say, say, id=_update_id(say))
            with self._start_operation(start) as opening:
                return await self._client.execute_update_with_start_workflow(
                    ChatWorkflow.say, say, id=_update_id(say), start_workflow_operation=opening
                )

        return await _retry_on_next_run(ask)

    async def _signal_message(self, start: ChatStart, say: ChatMessage) -> None:
        """Send the message as a signal, which Temporal stores; an update that no worker has accepted is only in memory.

        The workflow answers a message once, whether the update or the signal arrives first.
        """
        await self._signal(start.session_id, start, "deliver", say)

    async def _is_accepted(self, start: ChatStart, say: ChatMessage) -> bool:
        """Return whether the message is in the workflow's history."""

        async def ask(_: int) -> bool:
            with self._start_operation(start) as opening:
                await self._client.start_update_with_start_workflow(
                    ChatWorkflow.say,
                    say,
                    id=_update_id(say),
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    start_workflow_operation=opening,
                )
            return True

        return await _retry_on_next_run(ask)

    async def _signal(self, session_id: str, start: ChatStart | None, signal: str, argument: Any) -> None:
        """Signal the session's workflow; with `start` a new one is started if none runs."""
        async with confirmed():
            if start is None:
                await self._get_handle(session_id).signal(signal, argument)
            else:
                await self._client.start_workflow(
                    ChatWorkflow.run, start, **_start_options(start), start_signal=signal, start_signal_args=[argument]
                )

    @contextmanager
    def _start_operation(self, start: ChatStart) -> Iterator[WithStartWorkflowOperation[Any, Any]]:
        opening: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            ChatWorkflow.run, start, **_start_options(start)
        )
        try:
            yield opening
        except BaseException:
            # the update raises the failure; a future whose exception is never retrieved would log it again
            asyncio.ensure_future(opening.workflow_handle()).add_done_callback(_retrieve_exception)
            raise


def _start_options(start: ChatStart) -> dict[str, Any]:
    labels = RunLabels(
        kind="chat",
        of=start.session_id,
        agent_id=start.agent_id,
        key_id=start.key_id,
        request_id=start.because,
        summary=f"Chat with {start.agent_id}",
        details=f"session `{start.session_id}`",
        project_id=start.project_id,
    )
    # a session has one open run: a second one would answer from a stale state
    one_run = {"id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING}
    return start_options(workflow_id(start.session_id), labels) | one_run


def _retrieve_exception(handle: "asyncio.Future[Any]") -> None:
    if not handle.cancelled():
        handle.exception()


def _update_id(say: ChatMessage) -> str:
    # Temporal deduplicates by this id within a run: a repeated attempt gets the first one's result
    return say.message_id if say.visit == 1 else f"{say.message_id}.{say.visit}"


async def _retry_on_next_run(ask: Callable[[int], Awaitable[T]]) -> T:
    """Call `ask(attempt)`, attempts from 0, until a run answers; a run may end or continue as new meanwhile."""
    for attempt in range(_ATTEMPTS):
        try:
            return await ask(attempt)
        except WorkflowUpdateFailedError as error:
            if not _has_run_ended(error):
                raise _map_failure(error) from error
        except RPCError as error:
            if error.status not in RUN_IS_GONE:
                raise unavailable(error) from error
    raise Unavailable("the session could not be reached between its runs", retry_after=1)


def _has_run_ended(error: WorkflowUpdateFailedError) -> bool:
    """Return whether the run ended before it answered the update, so that the next run has to be asked."""
    return isinstance(error.cause, ApplicationError) and error.cause.type in _NEXT_RUN_ERRORS


def _map_failure(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in _REFUSALS:
        return _REFUSALS[cause.type](cause.message)
    return RuntimeError(f"the chat's workflow failed: {cause}")


async def _await_within(seconds: float, ask: Callable[[], Awaitable[T]]) -> T | None:
    """Await a result for so many seconds; None if there is none in time."""
    if seconds <= 0:
        return None
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except (TimeoutError, UpdateCancelled):
        return None
