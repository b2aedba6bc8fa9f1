"""The runs of the workflow `AgentChat`: reach the one of a session, or open it; ask what is going on there."""

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
from workflows.chat.session_state import QUERY_TIMEOUT, Standing, standing_of
from workflows.chat.workflow import AgentChat
from workflows.search_attributes import API_KEY, attributes
from workflows.task_queues import FLOW
from workflows.temporal_rpc import RUN_IS_GONE, confirmed, reachable, unavailable

T = TypeVar("T")

LOOK_AFTER_S = 10.0
"""What has no answer after this long (seconds) is made sure of."""
ACCEPT_PATIENCE_S = 2.0
"""A message that no worker has accepted after this long (seconds) is delivered without one."""
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
    """Every refusal of a run and every absence of Temporal is a `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def say(self, start: ChatStart, say: Say, *, timeout_s: float, is_known: bool) -> Said | None:
        """Say it in the session's run; None when it is safe there and not answered after `timeout_s` seconds.

        Raises:
            NotFound, Conflict: the run refuses it.
            Unavailable: Temporal cannot be reached.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        answered = partial(self._answered, start, say, is_known=is_known)
        try:
            said = await _within(min(timeout_s, LOOK_AFTER_S), answered)
            is_safe = said is not None or await _within(ACCEPT_PATIENCE_S, partial(self._is_accepted, start, say))
        except Unavailable:  # it may have arrived all the same
            said, is_safe = None, False
        if not is_safe:
            await self._deliver(start, say)
        if said is None:
            with suppress(Unavailable):  # it is safe
                said = await _within(end - loop.time(), answered)
        return said

    async def end(self, ending: Ending, start: ChatStart | None) -> bool:
        """End the session in its run; with `start` a new run is opened where there is none.

        False: it is not ended yet, and will be as soon as a worker is there.
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

        with suppress(Unavailable):  # it may have arrived all the same
            if await _within(LOOK_AFTER_S, partial(_reaching, ask)):
                return True
        await self._signal(ending.session_id, start, "close", ending)
        return False

    async def stop(self, session_id: str) -> None:
        """Have the run give up what it has no answer to, and end."""
        with reachable():
            await self._run_of(session_id).cancel()

    async def standing(self, session_id: str, *, key_id: str) -> Standing:
        """What is going on in a session."""
        return await standing_of(self._run_of(session_id), key_id)

    def _run_of(self, session_id: str) -> WorkflowHandle[AgentChat, None]:
        return self._client.get_workflow_handle(workflow_id(session_id))

    async def _answered(self, start: ChatStart, say: Say, *, is_known: bool) -> Said:
        """Update the run that is there, or open one: a chat that was idle has none."""

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
        """Have Temporal keep the message without a worker: an update that none has accepted is in memory only.

        The run takes it once, from whichever way it comes first.
        """
        await self._signal(start.session_id, start, "deliver", say)
        if await self._is_anothers(start):
            raise NotFound("there is no such session")

    async def _is_accepted(self, start: ChatStart, say: Say) -> bool:
        """Whether the message is in the run's history."""

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
        """Signal the session's run; with `start` a new one where there is none."""
        async with confirmed():
            if start is None:
                await self._run_of(session_id).signal(signal, argument)
            else:
                await self._client.start_workflow(
                    AgentChat.run, start, **_described(start), start_signal=signal, start_signal_args=[argument]
                )

    async def _is_anothers(self, start: ChatStart) -> bool:
        """Whether another key has opened the session meanwhile: its run does not take this message."""
        try:
            run = await self._run_of(start.session_id).describe(rpc_timeout=QUERY_TIMEOUT)
        except RPCError:
            return False
        return run.typed_search_attributes.get(API_KEY) not in {start.key_id, None}

    @contextmanager
    def _opening(self, start: ChatStart) -> Iterator[WithStartWorkflowOperation[Any, Any]]:
        opening: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            AgentChat.run, start, **_described(start)
        )
        try:
            yield opening
        except BaseException:
            # its failure is told by the update; a future nobody asks would tell the log again
            asyncio.ensure_future(opening.workflow_handle()).add_done_callback(_asked)
            raise


def _described(start: ChatStart) -> dict[str, Any]:
    """A run's id, queue, and what people see of it."""
    return {
        "id": workflow_id(start.session_id),
        "task_queue": FLOW,
        "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
        "memo": {"request_id": start.because},
        "search_attributes": attributes(
            "chat", agent_id=start.agent_id, key_id=start.key_id, project_id=start.project_id
        ),
        "static_summary": f"Chat with {start.agent_id}",
        "static_details": f"session `{start.session_id}`",
    }


def _asked(handle: "asyncio.Future[Any]") -> None:
    if not handle.cancelled():
        handle.exception()


def _update_id(say: Say) -> str:
    return say.message_id if say.visit == 1 else f"{say.message_id}.{say.visit}"


async def _reaching(ask: Callable[[int], Awaitable[T]]) -> T:
    """Ask the run that is there; when it ends under the question, the next one. `ask` gets the attempt, from 0."""
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
    """Whether the run ended under the update, so that the next run is to be asked."""
    return isinstance(error.cause, ApplicationError) and error.cause.type in _ELSEWHERE


def _refusal(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in _REFUSALS:
        return _REFUSALS[cause.type](cause.message)
    return RuntimeError(f"the chat's workflow failed: {cause}")


async def _within(seconds: float, ask: Callable[[], Awaitable[T]]) -> T | None:
    """What it gives; None when it gives nothing in time."""
    if seconds <= 0:
        return None
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except (TimeoutError, UpdateCancelled):
        return None
