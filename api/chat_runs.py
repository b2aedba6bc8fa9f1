"""The runs of the workflow `AgentChat`: reach the one of a session, or open it; ask what is going on there."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as UpdateCancelled
from temporalio.common import QueryRejectCondition, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.chat import Ending
from domain.errors import Conflict, NotFound, Refused, Unavailable
from workflows.chat import AgentChat
from workflows.chat_messages import MOVED, ChatStart, Said, Say
from workflows.queues import FLOW
from workflows.visibility import API_KEY, attributes

T = TypeVar("T")

ACCEPT_TIMEOUT_S = 12.0
"""A message that no worker has taken after this long (seconds) is refused, so that it is not believed to be safe."""
_LOOK_AFTER_S = 10.0
_QUERY_TIMEOUT = timedelta(seconds=1)
_TRIES = 4
_GONE = {RPCStatusCode.NOT_FOUND, RPCStatusCode.ABORTED, RPCStatusCode.FAILED_PRECONDITION}
_ELSEWHERE = {"AcceptedUpdateCompletedWorkflow", MOVED}
_REFUSALS: dict[str | None, type[Refused]] = {
    "NotFound": NotFound,
    "Conflict": Conflict,
    "SERVICE_UNAVAILABLE": Unavailable,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What Temporal knows of a session: whether it `is_open`, and the messages accepted and not yet answered.

    None where nobody can say now. Another key's session is not open.
    """

    is_open: bool | None
    pending: int | None


_CLOSED = Standing(is_open=False, pending=0)


def workflow_id(session_id: str) -> str:
    return f"chat-{session_id}"


class ChatRuns:
    """Every refusal of a run and every absence of Temporal is a `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def say(self, start: ChatStart, say: Say, *, timeout_s: float, is_known: bool) -> Said | None:
        """Say it in the session's run; None when it is safe there and not answered after `timeout_s` seconds."""
        patience = min(timeout_s, _LOOK_AFTER_S)
        said = await self._answered_within(patience, start, say, is_known=is_known)
        if said is None:
            await self._accepted(start, say, ACCEPT_TIMEOUT_S - patience)
            said = await self._answered_within(timeout_s - patience, start, say, is_known=is_known)
        return said

    async def end(self, ending: Ending, start: ChatStart | None) -> None:
        """End the session in its run; with `start` a new run is opened where there is none."""
        update_id = f"end-{ending.session_id}"

        async def ask(_: int) -> None:
            if start is None:
                handle = self._run_of(ending.session_id)
                await handle.execute_update(AgentChat.end, ending, id=update_id)
                return
            with self._opening(start) as opening:
                await self._client.execute_update_with_start_workflow(
                    AgentChat.end, ending, id=update_id, start_workflow_operation=opening
                )

        await _reaching(ask)

    async def standing(self, session_id: str, *, key_id: str) -> Standing:
        """What is going on in a session."""
        handle = self._run_of(session_id)
        try:
            status = await handle.query(
                AgentChat.status, reject_condition=QueryRejectCondition.NOT_OPEN, rpc_timeout=_QUERY_TIMEOUT
            )
        except WorkflowQueryRejectedError:
            return _CLOSED
        except WorkflowQueryFailedError:
            return await _by_history(handle, key_id)
        except RPCError as error:
            return _CLOSED if error.status is RPCStatusCode.NOT_FOUND else await _by_history(handle, key_id)
        return Standing(is_open=True, pending=status.pending) if status.key_id == key_id else _CLOSED

    def _run_of(self, session_id: str) -> WorkflowHandle[AgentChat, None]:
        return self._client.get_workflow_handle(workflow_id(session_id))

    async def _answered_within(self, seconds: float, start: ChatStart, say: Say, *, is_known: bool) -> Said | None:
        if seconds <= 0:
            return None
        try:
            async with asyncio.timeout(seconds):
                return await self._answered(start, say, is_known=is_known)
        except (TimeoutError, UpdateCancelled):
            return None

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

    async def _accepted(self, start: ChatStart, say: Say, within_s: float) -> None:
        """Make sure that the message is in the run's history."""

        async def ask(_: int) -> None:
            with self._opening(start) as opening:
                await self._client.start_update_with_start_workflow(
                    AgentChat.say,
                    say,
                    id=_update_id(say),
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    start_workflow_operation=opening,
                )

        try:
            async with asyncio.timeout(within_s):
                await _reaching(ask)
        except (TimeoutError, UpdateCancelled) as error:
            raise Unavailable("no worker takes messages now", retry_after=5) from error

    @contextmanager
    def _opening(self, start: ChatStart) -> Iterator[WithStartWorkflowOperation[Any, Any]]:
        opening: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            AgentChat.run,
            start,
            id=workflow_id(start.session_id),
            task_queue=FLOW,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            memo={"request_id": start.because},
            search_attributes=attributes(
                "chat", agent_id=start.agent_id, key_id=start.key_id, project_id=start.project_id
            ),
            static_summary=f"Chat with {start.agent_id}",
            static_details=f"session `{start.session_id}`",
        )
        try:
            yield opening
        except BaseException:
            # its failure is told by the update; a future nobody asks would tell the log again
            asyncio.ensure_future(opening.workflow_handle()).add_done_callback(_asked)
            raise


def _asked(handle: "asyncio.Future[Any]") -> None:
    if not handle.cancelled():
        handle.exception()


async def _by_history(handle: WorkflowHandle[Any, Any], key_id: str) -> Standing:
    """The same from a run's history, for when no worker can say."""
    try:
        run = await handle.describe(rpc_timeout=_QUERY_TIMEOUT)
        if run.status is not WorkflowExecutionStatus.RUNNING or run.typed_search_attributes.get(API_KEY) != key_id:
            return _CLOSED
        kinds = Counter([event.event_type async for event in handle.fetch_history_events(rpc_timeout=_QUERY_TIMEOUT)])
    except RPCError:
        return Standing(is_open=None, pending=None)
    accepted, completed = (
        kinds[kind]
        for kind in (
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
            EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED,
        )
    )
    return Standing(is_open=True, pending=accepted - completed)


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
            if error.status not in _GONE:
                raise _away(error) from error
    raise Unavailable("the session could not be reached between its runs", retry_after=1)


def _ran_out(error: WorkflowUpdateFailedError) -> bool:
    """Whether the run ended under the update, so that the next run is to be asked."""
    return isinstance(error.cause, ApplicationError) and error.cause.type in _ELSEWHERE


def _refusal(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in _REFUSALS:
        return _REFUSALS[cause.type](cause.message)
    return RuntimeError(f"the chat's workflow failed: {cause}")


def _away(error: RPCError) -> Unavailable:
    return Unavailable(f"Temporal cannot be reached ({error.status.name})", retry_after=2)
