"""Approvals with everything real but the run that waits, which is as small as can be."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.approvals.activities import ApprovalActivities
from activities.approvals.messages import ApprovalDecision, ApprovalRequest, ApprovalStart, InstructionRef
from activities.interceptor import RefusalInterceptor
from adapters.files.risk_policy import load_risk_policy
from adapters.postgres.instructions import PostgresInstructions
from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.approvals import aggregate
from domain.approvals.instructions import Instruction
from domain.approvals.ports import Webhooks
from domain.approvals.rules import ApprovalRules, RiskPolicy
from domain.content import Content
from domain.events import Event
from domain.ledger import Ledger
from domain.registry import event_registry
from runtime.sandbox import QuickSandbox
from tests.approvals.waiter import Heard, Waiter
from tests.system import until
from workflows.approvals.start import start_approval
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.message_guard import WellFormedMessages
from workflows.task_queues import WORKFLOW_QUEUE

OWNER = "chat-1"
TEXT = "The answer that somebody has to look at."


@dataclass
class Stage:
    """Ledger, texts and runs of approvals on one database and one Temporal."""

    client: Client
    database: Database
    risks: RiskPolicy
    webhooks: Webhooks | None = None

    @property
    def ledger(self) -> Ledger:
        return Ledger(LedgerRecorder(self.database), event_registry())

    @property
    def content(self) -> PostgresContent:
        return PostgresContent(self.database)

    @property
    def instructions(self) -> PostgresInstructions:
        return PostgresInstructions(self.database)

    def activities(self, start: Callable[[ApprovalStart], Awaitable[None]] | None = None) -> ApprovalActivities:
        return ApprovalActivities(
            self.ledger,
            self.instructions,
            self.content,
            lambda: self.risks,
            lambda: datetime.now(UTC),
            start=start or partial(start_approval, self.client),
            webhooks=self.webhooks,
        )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker, for the block."""
        with ThreadPoolExecutor(8) as threads:
            async with Worker(
                self.client,
                task_queue=WORKFLOW_QUEUE,
                workflows=[ApprovalWorkflow, Waiter],
                activities=self.activities().all(),
                activity_executor=threads,
                workflow_runner=QuickSandbox(),
                interceptors=[RefusalInterceptor(), WellFormedMessages()],
                sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
            ):
                yield

    def ask(self, **more: Any) -> ApprovalRequest:
        """An ask about a text that is there."""
        number = uuid4().hex
        ask = ApprovalRequest(
            approval_id=f"approval_{number}",
            kind="agent_response",
            risk="medium",
            title="Answer of ali",
            agent_id="ali",
            owner=OWNER,
            content_hash=self.content.put(Content(OWNER, TEXT)),
            workflow_id=f"waiter_{number}",
            root_id=f"waiter_{number}",
            key_id="key_asker",
            because="req_1",
        )
        return replace(ask, **more)

    async def waiting(self, ask: ApprovalRequest, *, deaf: bool = False) -> WorkflowHandle[Waiter, Heard]:
        """A run that waits for this, once it has asked."""
        handle = await self.client.start_workflow(
            Waiter.run, args=[ask, deaf], id=ask.workflow_id, task_queue=WORKFLOW_QUEUE
        )
        await until(lambda: to_thread(self.names, ask), bool, seconds=20)
        return handle

    def run_of(self, ask: ApprovalRequest) -> WorkflowHandle[ApprovalWorkflow, ApprovalDecision]:
        return self.client.get_workflow_handle_for(ApprovalWorkflow.run, ask.approval_id)

    def events(self, ask: ApprovalRequest) -> list[Event]:
        return self.ledger.read(aggregate.stream(ask.approval_id))

    def names(self, ask: ApprovalRequest) -> list[str]:
        """What happened, without `approval.`."""
        return [event.NAME.removeprefix("approval.") for event in self.events(ask)]

    def order(self, ask: ApprovalRequest, verb: str, by: str = "key_a", **more: Any) -> InstructionRef:
        """What somebody with a key wants, written down as the API does it."""
        command_id = uuid4().hex
        fields = {"approval_id": ask.approval_id, "command_id": command_id, "identity": "proven", "because": "req_2"}
        instruction = Instruction(**{**fields, "verb": verb, "by": by, **more})  # type: ignore[arg-type]
        return InstructionRef(command_id, self.instructions.put(instruction))


def risks(**rules: Any) -> RiskPolicy:
    """A policy with these rules for `medium`."""
    packaged = load_risk_policy()
    medium = {**packaged.medium.model_dump(), **rules}
    return packaged.model_copy(update={"medium": ApprovalRules.model_validate(medium)})
