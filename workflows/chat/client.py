"""Client of the workflow `AgentChat`: sends messages to a session's workflow, starts it, ends it, reads its state."""

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

from activities.chat.activities import Ending
from domain.errors import Conflict, NotFound, Refused, Unavailable
from workflows.chat.messages import MOVED, ChatStart, Said, Say
from workflows.chat.session_state import Standing, standing_of
from workflows.chat.workflow import AgentChat
from workflows.search_attributes import attributes
from workflows.task_queues import FLOW
from workflows.temporal_rpc import RUN_IS_GONE, confirmed, reachable, unavailable

T = TypeVar("T")

LOOK_AFTER_S = 10.0
"""Seconds to wait for an answer before checking that the message has been accepted."""
ACCEPT_PATIENCE_S = 2.0
"""Seconds to wait for a worker to accept a message before delivering it as a signal."""
_TRIES = 4
_ELSEWHERE = {"AcceptedUpdateCompletedWorkflow", MOVED}
_REFUSALS: dict[str | None, type[Refused]] = {
    "NotFound": NotFound,
    "Conflict": Conflict,
    "SERVICE_UNAVAILABLE": Unavailable,
}


def workflow_id(session_id: str) -> str:
    return f"chat-{session_id}"


class ChatRuns:
    """Reaches session workflows. Refusals and failures to reach Temporal are raised as `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def say(self, start: ChatStart, say: Say, *, timeout_s: float, is_known: bool) -> Said | None:
        """Send a message; None when it is stored durably but not answered after `timeout_s` seconds.

        Raises:
            NotFound, Conflict: the workflow refuses the message.
            Unavailable: Temporal cannot be reached.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        answered = partial(self._answered, start, say, is_known=is_known)
        try:
            said = await _within(min(timeout_s, LOOK_AFTER_S), answered)
            is_safe = said is not None or await _within(ACCEPT_PATIENCE_S, partial(self._is_accepted, start, say))
        except Unavailable:  # the message may have been accepted before the failure
            said, is_safe = None, False
        if not is_safe:
            await self._deliver(start, say)
        if said is None:
            with suppress(Unavailable):  # the message is stored already
                said = await _within(end - loop.time(), answered)
        return said

    async def end(self, ending: Ending, start: ChatStart | None) -> bool:
        """End the session in its workflow; with `start` a workflow is started if none runs.

        Returns False if no worker has confirmed it: a signal will end the session as soon as a worker runs.
        """
        update_id = f"end-{ending.session_id}"

        async def ask(_: int) -> bool:
            if start is None:
                handle = self._run_of(ending.session_id)
                await handle.execute_update(AgentChat.end, ending, id=update_id)
                return True
            with self._opening(start) as opening:
                await self._client.execute_update_with_start_workflow(
                    AgentChat.end, ending, id=update_id, start_workflow_operation=opening
                )
            return True

        with suppress(Unavailable):  # the update may have been accepted; the signal below is idempotent
            if await _within(LOOK_AFTER_S, partial(_reaching, ask)):
                return True
        await self._signal(ending.session_id, start, "close", ending)
        return False

    async def stop(self, session_id: str) -> None:
        """Cancel the session's workflow; open messages fail."""
        with reachable():
            await self._run_of(session_id).cancel()

    async def standing(self, session_id: str) -> Standing:
        """Return whether a session is open and how many messages are pending."""
        return await standing_of(self._run_of(session_id))

    def _run_of(self, session_id: str) -> WorkflowHandle[AgentChat, None]:
        return self._client.get_workflow_handle(workflow_id(session_id))

    async def _answered(self, start: ChatStart, say: Say, *, is_known: bool) -> Said:
        """Update the running workflow, or start one: an idle chat has none."""

        async def ask(attempt: int) -> Said:
            if is_known and attempt == 0:
                handle = self._run_of(start.session_id)
                return await handle.execute_update(AgentChat.say, say, id=_update_id(say))
            with self._opening(start) as opening:
                return await self._client.execute_update_with_start_workflow(
                    AgentChat.say, say, id=_update_id(say), start_workflow_operation=opening
                )

        return await _reaching(ask)

    async def _deliver(self, start: ChatStart, say: Say) -> None:
        """Send the message as a signal, which Temporal stores; an update that no worker has accepted is only in memory.

        The workflow answers a message once, whether the update or the signal arrives first.
        """
        await self._signal(start.session_id, start, "deliver", say)

    async def _is_accepted(self, start: ChatStart, say: Say) -> bool:
        """Return whether the message is in the workflow's history."""

        async def ask(_: int) -> bool:
            with self._opening(start) as opening:
                await self._client.start_update_with_start_workflow(
                    AgentChat.say,
                    say,
                    id=_update_id(say),
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    start_workflow_operation=opening,
                )
            return True

        return await _reaching(ask)

    async def _signal(self, session_id: str, start: ChatStart | None, signal: str, argument: Any) -> None:
        """Signal the session's workflow; with `start` a new one is started if none runs."""
        async with confirmed():
            if start is None:
                await self._run_of(session_id).signal(signal, argument)
            else:
                await self._client.start_workflow(
                    AgentChat.run, start, **_described(start), start_signal=signal, start_signal_args=[argument]
                )

    @contextmanager
    def _opening(self, start: ChatStart) -> Iterator[WithStartWorkflowOperation[Any, Any]]:
        opening: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            AgentChat.run, start, **_described(start)
        )
        try:
            yield opening
        except BaseException:
            # the update raises the failure; a future whose exception is never retrieved would log it again
            asyncio.ensure_future(opening.workflow_handle()).add_done_callback(_asked)
            raise


def _described(start: ChatStart) -> dict[str, Any]:
    """Return the workflow's id, task queue, and the attributes shown in the Web UI."""
    return {
        "id": workflow_id(start.session_id),
        "task_queue": FLOW,
        # a session has one open run: a second one would answer from a stale state
        "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
        "memo": {"request_id": start.because},
        "search_attributes": attributes(
            "chat", of=start.session_id, agent_id=start.agent_id, key_id=start.key_id, project_id=start.project_id
        ),
        "static_summary": f"Chat with {start.agent_id}",
        "static_details": f"session `{start.session_id}`",
    }


def _asked(handle: "asyncio.Future[Any]") -> None:
    if not handle.cancelled():
        handle.exception()


def _update_id(say: Say) -> str:
    # Temporal deduplicates by this id within a run: a repeated attempt gets the first one's result
    return say.message_id if say.visit == 1 else f"{say.message_id}.{say.visit}"


async def _reaching(ask: Callable[[int], Awaitable[T]]) -> T:
    """Call `ask(attempt)`, attempts from 0, until a run answers; a run may end or continue as new meanwhile."""
    for attempt in range(_TRIES):
        try:
            return await ask(attempt)
        except WorkflowUpdateFailedError as error:
            if not _ran_out(error):
                raise _refusal(error) from error
        except RPCError as error:
            if error.status not in RUN_IS_GONE:
                raise unavailable(error) from error
    raise Unavailable("the session could not be reached between its runs", retry_after=1)


def _ran_out(error: WorkflowUpdateFailedError) -> bool:
    """Return whether the run ended before it answered the update, so that the next run has to be asked."""
    return isinstance(error.cause, ApplicationError) and error.cause.type in _ELSEWHERE


def _refusal(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in _REFUSALS:
        return _REFUSALS[cause.type](cause.message)
    return RuntimeError(f"the chat's workflow failed: {cause}")


async def _within(seconds: float, ask: Callable[[], Awaitable[T]]) -> T | None:
    """Await a result for so many seconds; None if there is none in time."""
    if seconds <= 0:
        return None
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except (TimeoutError, UpdateCancelled):
        return None
