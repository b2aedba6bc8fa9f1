"""The activities of the workflow `Runbook`. All are idempotent: after a crash another worker begins again."""

from asyncio import to_thread
from collections.abc import Callable, Iterable
from datetime import datetime

import orjson
from temporalio import activity

from activities.approvals.messages import ApprovalRequest
from activities.heartbeat import send_heartbeats
from activities.runbooks.messages import (
    RunbookApproval,
    RunbookEndRequest,
    RunbookHold,
    RunbookPlan,
    RunbookRef,
    RunbookStepRef,
    RunbookStepResult,
)
from activities.runbooks.steps import RunbookContext, StepHandler, StepHandlers, StepResult
from domain.content import Content, ContentStore
from domain.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unavailable
from domain.events import Cause
from domain.ids import derived_hex
from domain.ledger import Ledger
from domain.runbooks.aggregate import RunbookRunRecord, StepFailure
from domain.runbooks.catalogue import RUNBOOKS, find_runbook
from domain.runbooks.commands import RunbookCommands
from domain.runbooks.events import RunbookStepEnded

AGENT = "platform"
"""Stands for an agent in approvals of runbooks."""
_CODES: tuple[tuple[type[DomainError], str], ...] = (
    (NotFound, "NOT_FOUND"),
    (Conflict, "CONFLICT"),
    (Invalid, "VALIDATION_ERROR"),
    (Forbidden, "FORBIDDEN"),
)


class RunbookActivities:
    """Plans a run, does its steps, requests its approval, and records its end."""

    def __init__(
        self, ledger: Ledger, content: ContentStore, groups: Iterable[StepHandlers], now: Callable[[], datetime]
    ) -> None:
        self._commands = RunbookCommands(ledger)
        self._content = content
        self._handlers: dict[tuple[str, str], StepHandler] = {}
        for group in groups:
            self._handlers.update(group.handlers())
        wanted = {(runbook.id, step.name) for runbook in RUNBOOKS.values() for step in runbook.steps}
        if wanted != set(self._handlers):
            raise ValueError(f"steps without a handler, or the other way round: {wanted ^ set(self._handlers)}")
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.plan_runbook, self.run_step, self.request_run_approval, self.hold_runbook, self.end_runbook]

    @activity.defn(name="plan_runbook", no_thread_cancel_exception=True)
    def plan_runbook(self, ref: RunbookRef) -> RunbookPlan:
        """Return the steps of a run.

        Raises:
            NotFound: nobody has requested it.
        """
        run = self._commands.load(ref.run_id)
        asked = run.asked
        runbook = find_runbook(asked.runbook_id)
        needs_approval = runbook.risk is not None and not asked.dry_run
        return RunbookPlan(
            steps=[step.name for step in runbook.steps],
            approval_before=runbook.steps[runbook.first_change()].name if needs_approval else None,
            ended=run.ended.status if run.ended else None,
        )

    @activity.defn(name="run_runbook_step")
    async def run_step(self, ref: RunbookStepRef) -> RunbookStepResult:
        """Do a step, unless it has ended.

        Raises:
            Unavailable: a server cannot be reached, or the step has to wait; the next attempt continues.
        """
        with send_heartbeats():
            run = await to_thread(self._start, ref)
            if (known := run.steps.get(ref.step)) is not None:
                return _to_result(known)
            result, failure = await self._handle(run, ref.step)
            run = await to_thread(self._commands.end_step, ref.run_id, ref.step, result, failure, self._cause(run))
        return _to_result(run.steps[ref.step]) if ref.step in run.steps else RunbookStepResult("failed", "CANCELLED")

    @activity.defn(name="request_run_approval", no_thread_cancel_exception=True)
    def request_run_approval(self, ref: RunbookRef) -> RunbookApproval:
        """Return the request for the run's approval. Its text is what the steps so far have found."""
        run = self._commands.load(ref.run_id)
        asked = run.asked
        runbook = find_runbook(asked.runbook_id)
        found = {step: ended.result for step, ended in run.steps.items()}
        facts = {"runbook": runbook.id, "parameters": asked.parameters, "found": found}
        text = Content(ref.run_id, f"{runbook.summary} {runbook.danger}")
        payload = Content(ref.run_id, orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode())
        self._content.put(text)
        self._content.put(payload)
        approval_id = f"approval_{derived_hex('approval', 'runbook', ref.run_id)}"
        ask = ApprovalRequest(
            approval_id=approval_id,
            kind="request",
            risk=runbook.risk or "high",
            title=f"Runbook {runbook.id}",
            agent_id=AGENT,
            owner=ref.run_id,
            content_hash=text.hash,
            payload_hash=payload.hash,
            workflow_id=ref.run_id,
            root_id=ref.run_id,
            key_id=asked.by,
            because=ref.run_id,
        )
        return RunbookApproval(ask)

    @activity.defn(name="hold_runbook", no_thread_cancel_exception=True)
    def hold_runbook(self, hold: RunbookHold) -> None:
        """Record that the run waits for an approval, which can be decided."""
        run = self._commands.load(hold.run_id)
        self._commands.request_approval(hold.run_id, hold.approval_id, self._cause(run))

    @activity.defn(name="end_runbook", no_thread_cancel_exception=True)
    def end_runbook(self, request: RunbookEndRequest) -> str:
        """Record the end of the run, once. Returns the status that stands."""
        run = self._commands.load(request.run_id)
        failure = StepFailure(request.code or "INTERNAL_ERROR", request.error or "") if request.code else None
        if request.step is not None and request.step in run.attempts:
            self._commands.end_step(request.run_id, request.step, {}, failure, self._cause(run))
        run = self._commands.end(request.run_id, request.status, failure, self._cause(run))
        return run.ended.status if run.ended else request.status

    def _start(self, ref: RunbookStepRef) -> RunbookRunRecord:
        run = self._commands.load(ref.run_id)
        if ref.step not in {step.name for step in find_runbook(run.asked.runbook_id).steps}:
            raise NotFound(f"there is no step {ref.step}")
        return self._commands.start_step(ref.run_id, ref.step, self._cause(run))

    async def _handle(self, run: RunbookRunRecord, step: str) -> tuple[StepResult, StepFailure | None]:
        asked = run.asked
        context = RunbookContext(asked.run_id, asked.parameters, asked.dry_run, asked.by, asked.tenant_id)
        try:
            return await self._handlers[asked.runbook_id, step](context), None
        except Unavailable:
            raise
        except DomainError as refusal:
            return {}, StepFailure(_code_of(refusal), refusal.message)

    def _cause(self, run: RunbookRunRecord) -> Cause:
        asked = run.asked
        return Cause(asked.by, asked.run_id, self._now(), asked.tenant_id)


def _to_result(ended: RunbookStepEnded) -> RunbookStepResult:
    return RunbookStepResult(ended.status, ended.code, ended.error)


def _code_of(refusal: DomainError) -> str:
    return next((code for kind, code in _CODES if isinstance(refusal, kind)), "INTERNAL_ERROR")
