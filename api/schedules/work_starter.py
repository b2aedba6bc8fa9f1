"""Starts the work of firings with the services that the routes call, so that it is accepted or refused alike."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError

from api.chat.service import ChatService, Utterance, new_session_id
from api.governance.runbook_service import RunbookService
from api.graphflow.execution_service import ExecutionLocator, ExecutionService
from api.graphflow.execution_submission import ExecutionSubmission, execution_id_of
from api.http.errors import to_failure
from api.runs.context import RunContext
from api.schedules.targets import TARGETS, AnyTarget, ChatTarget, RunbookTarget, SwarmTarget, WorkflowTarget
from api.swarm.service import SwarmService, SwarmSubmission, task_id_of
from domain.chat.forks import ENDED_STATUSES
from domain.chat.ports import ChatReads
from domain.errors import DomainError, NotFound, Unavailable
from domain.events import Cause
from domain.graphflow.execution.ports import RunReads
from domain.ids import message_id
from domain.schedules.ports import CallerAccess, RefusedWork, ScheduledWork, StartedWork
from domain.swarm.ports import SwarmReads
from domain.tenant_ids import qualified


class ServiceWorkStarter:
    """`domain.schedules.ports.WorkStarter` on the services of chats, swarms, executions and runbooks."""

    def __init__(
        self,
        chats: ChatService,
        swarms: SwarmService,
        executions: ExecutionService,
        runbooks: RunbookService,
        *,
        chat_reads: ChatReads,
        swarm_reads: SwarmReads,
        run_reads: RunReads,
        callers: CallerAccess,
        context: RunContext,
        now: Callable[[], datetime],
    ) -> None:
        self._chats = chats
        self._swarms = swarms
        self._executions = executions
        self._runbooks = runbooks
        self._chat_reads = chat_reads
        self._swarm_reads = swarm_reads
        self._run_reads = run_reads
        self._callers = callers
        self._context = context
        self._now = now

    async def start(self, work: ScheduledWork) -> StartedWork | RefusedWork:
        """Start the work, or join it if this key has started it.

        Raises:
            Unavailable: a server cannot be reached; nothing was started.
        """
        try:
            target = TARGETS.validate_python(work.body)
        except ValidationError:
            return RefusedWork("VALIDATION_ERROR", "this release does not accept what the schedule starts")
        try:
            await asyncio.to_thread(self._callers.refuse_ended, work.key_id, work.tenant_id, self._now())
            return await self._start(work, target)
        except Unavailable:
            raise
        except DomainError as refusal:
            # an earlier attempt may have started what would be refused by now
            return await self._find(work, target) or RefusedWork(to_failure(refusal).code, refusal.message)

    async def is_over(self, work: StartedWork) -> bool:
        """Return whether the work has ended, however it did."""
        match work.kind:
            case "swarm":
                swarm = await asyncio.to_thread(self._swarm_reads.swarm, work.run_id)
                return swarm is not None and swarm.row.ended_at is not None
            case "workflow":
                run = await asyncio.to_thread(self._run_reads.run, work.run_id)
                return run is not None and run.row.ended_at is not None
            case "runbook":
                return await self._runbooks.is_over(work.run_id)
            case _:
                return await self._is_answered(work.run_id, work.message_id or "")

    async def _is_answered(self, session_id: str, said: str) -> bool:
        turn = await asyncio.to_thread(self._chat_reads.turn_of, session_id, said)
        if turn is not None:
            return turn.status in ENDED_STATUSES
        # a message whose session was ended first never becomes a turn
        session = await asyncio.to_thread(self._chat_reads.session, session_id)
        return session is not None and session.ended_at is not None

    async def _start(self, work: ScheduledWork, target: AnyTarget) -> StartedWork:
        match target:
            case ChatTarget():
                return await self._say(work, target)
            case SwarmTarget():
                swarm = await self._swarms.coordinate(_to_swarm(work, target))
                return StartedWork("swarm", swarm.row.task_id)
            case WorkflowTarget():
                begun = await self._executions.execute(_to_execution(work, target))
                return StartedWork("workflow", begun.execution_id, target.workflow_id)
            case RunbookTarget():
                cause = Cause(work.key_id, work.because, self._now(), work.tenant_id)
                run = await self._runbooks.request(
                    target.runbook_id, target.parameters, cause, dry_run=target.dry_run, key=work.key
                )
                return StartedWork("runbook", run.asked.run_id, target.runbook_id)

    async def _find(self, work: ScheduledWork, target: AnyTarget) -> StartedWork | None:
        """Return the work if this key has started it."""
        key = await self._context.handover.usable_key(work.key)
        with suppress(NotFound):
            match target:
                case SwarmTarget():
                    task_id = task_id_of(work.tenant_id, key)
                    await self._swarms.read(task_id, tenant_id=work.tenant_id)
                    return StartedWork("swarm", task_id)
                case WorkflowTarget():
                    execution_id = execution_id_of(work.tenant_id, key)
                    place = ExecutionLocator(target.workflow_id, execution_id, work.tenant_id)
                    await self._executions.read(place)
                    return StartedWork("workflow", execution_id, target.workflow_id)
                case RunbookTarget():
                    found = await self._runbooks.find(work.tenant_id, work.key)
                    return StartedWork("runbook", found, target.runbook_id)
                case ChatTarget():
                    return await self._find_turn(work, target, key)
        return None

    async def _find_turn(self, work: ScheduledWork, target: ChatTarget, key: str | None) -> StartedWork | None:
        await self._context.positions.wait("chat")
        session_id = qualified(work.tenant_id, target.context.session_id or new_session_id(work.key))
        said = message_id(session_id, key)
        turn = await asyncio.to_thread(self._chat_reads.turn_of, session_id, said)
        return None if turn is None else StartedWork("chat", session_id, turn.agent_id, said)

    async def _say(self, work: ScheduledWork, target: ChatTarget) -> StartedWork:
        outcome = await self._chats.send(_to_utterance(work, target), timeout_s=0)
        key = await self._context.handover.usable_key(work.key)
        said = message_id(outcome.session_id, key)
        return StartedWork("chat", outcome.session_id, outcome.agent_id, said)


def _to_utterance(work: ScheduledWork, target: ChatTarget) -> Utterance:
    context = target.context
    return Utterance(
        agent_id=target.agent_id,
        message=target.message,
        key_id=work.key_id,
        tenant_id=work.tenant_id,
        request_id=work.because,
        key=work.key,
        session_id=context.session_id,
        user_id=context.user_id,
        project_id=_project(context.project_id),
        require_approval=target.require_approval,
    )


def _to_swarm(work: ScheduledWork, target: SwarmTarget) -> SwarmSubmission:
    context = target.context
    return SwarmSubmission(
        task=target.task,
        agents=tuple(target.agents),
        key_id=work.key_id,
        tenant_id=work.tenant_id,
        request_id=work.because,
        mode=target.coordination_mode,
        coordinator=target.coordinator,
        context=context.model_dump(mode="json", exclude={"user_id", "project_id"}),
        user_id=context.user_id,
        project_id=_project(context.project_id),
        rounds=target.rounds,
        budget_usd=target.budget_usd,
        require_approval=target.require_approval,
        key=work.key,
    )


def _to_execution(work: ScheduledWork, target: WorkflowTarget) -> ExecutionSubmission:
    context = target.context
    return ExecutionSubmission(
        workflow_id=target.workflow_id,
        input=target.input,
        key_id=work.key_id,
        tenant_id=work.tenant_id,
        request_id=work.because,
        context=context.model_dump(mode="json", exclude_none=True),
        project_id=_project(context.project_id),
        version=target.version,
        budget_usd=target.budget_usd,
        key=work.key,
    )


def _project(project_id: str | int | None) -> str | None:
    return None if project_id is None else str(project_id)
