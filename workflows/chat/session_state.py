"""The state of a session in Temporal: from a query of its workflow, or from the workflow's history."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
)
from temporalio.common import QueryRejectCondition
from temporalio.service import RPCError, RPCStatusCode

from workflows.chat.workflow import ChatWorkflow

QUERY_TIMEOUT = timedelta(seconds=1)
_ACCEPTED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED
_TASK_COMPLETED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
_SIGNALED = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED


@dataclass(frozen=True, slots=True)
class SessionState:
    """What Temporal knows of a session: whether it `is_open`, and the messages accepted and not yet answered.

    None where nobody can say now.
    """

    is_open: bool | None
    pending: int | None


_CLOSED = SessionState(is_open=False, pending=0)


async def query_state(handle: WorkflowHandle[ChatWorkflow, None]) -> SessionState:
    """Query the session's workflow for its state."""
    try:
        status = await handle.query(
            ChatWorkflow.status, reject_condition=QueryRejectCondition.NOT_OPEN, rpc_timeout=QUERY_TIMEOUT
        )
    except WorkflowQueryRejectedError:
        return _CLOSED
    except WorkflowQueryFailedError:
        return await _read_history(handle)
    except RPCError as error:
        return _CLOSED if error.status is RPCStatusCode.NOT_FOUND else await _read_history(handle)
    return SessionState(is_open=True, pending=status.pending)


async def _read_history(handle: WorkflowHandle[Any, Any]) -> SessionState:
    """Derive the state from the workflow's history, for when no worker can answer the query.

    A delivered message that a worker has processed counts as begun, so the ledger has it.
    """
    try:
        run = await handle.describe(rpc_timeout=QUERY_TIMEOUT)
        if run.status is not WorkflowExecutionStatus.RUNNING:
            return _CLOSED
        kinds: Counter[int] = Counter()
        async for event in handle.fetch_history_events(rpc_timeout=QUERY_TIMEOUT):
            if event.event_type == _TASK_COMPLETED:
                kinds[_SIGNALED] = 0
            signal = event.workflow_execution_signaled_event_attributes.signal_name
            kinds[event.event_type] += event.event_type != _SIGNALED or signal == "deliver"
    except RPCError:
        return SessionState(is_open=None, pending=None)
    return SessionState(is_open=True, pending=kinds[_ACCEPTED] - kinds[_COMPLETED] + kinds[_SIGNALED])
