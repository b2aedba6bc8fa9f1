"""A whole system, and runs that wait for decisions beside it."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
from temporalio.client import WorkflowHandle
from temporalio.worker import Worker

from activities.approvals.activities import ApprovalActivities
from activities.approvals.messages import ApprovalRequest
from domain.content import Content
from runtime.sandbox import QuickSandbox
from tests.approvals.waiter import Heard, Waiter
from tests.system import System
from workflows.approvals.start import start_approval

APPROVALS = "/api/v1/approvals"
TEXT = "The answer that somebody has to look at."
QUEUE = "waiters"


@dataclass
class Desk:
    """A whole system, and runs that wait for decisions beside it."""

    system: System

    @property
    def http(self) -> httpx.AsyncClient:
        return self.system.http

    def ask(self, **more: Any) -> ApprovalRequest:
        number = uuid4().hex
        owner = f"chat-{number}"
        ask = ApprovalRequest(
            approval_id=f"approval_{number}",
            kind="agent_response",
            risk="medium",
            title="Answer of ali",
            agent_id="ali",
            owner=owner,
            content_hash=self.system.parts.content.put(Content(owner, TEXT)),
            workflow_id=f"waiter_{number}",
            root_id=f"task_{number}",
            key_id="key_asker",
            because="req_1",
            session_id="session_1",
            turn=2,
            project_id="7",
        )
        return replace(ask, **more)

    async def asked(
        self, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[ApprovalRequest, WorkflowHandle[Waiter, Heard]]:
        """An approval that is there to be read, and the run that waits for it."""
        ask = await asyncio.to_thread(partial(self.ask, **more))
        handle = await self.system.temporal.start_workflow(
            Waiter.run, args=[ask, False], id=ask.workflow_id, task_queue=QUEUE
        )
        async with asyncio.timeout(20):
            while (await self.http.get(f"{APPROVALS}/{ask.approval_id}", headers=headers)).status_code != 200:  # noqa: ASYNC110  (over HTTP)
                await asyncio.sleep(0.05)
        return ask, handle

    async def post(self, ask: ApprovalRequest, verb: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.http.post(f"{APPROVALS}/{ask.approval_id}/{verb}", json=body, **more)

    async def get(self, ask: ApprovalRequest) -> dict[str, Any]:
        response = await self.http.get(f"{APPROVALS}/{ask.approval_id}")
        assert response.status_code == 200, response.text
        return dict(response.json())


@asynccontextmanager
async def desk_of(system: System) -> AsyncIterator[Desk]:
    """Runs that wait, at work for the block."""
    parts = system.parts
    activities = ApprovalActivities(
        parts.ledger,
        parts.instructions,
        parts.content,
        lambda: parts.risks,
        lambda: datetime.now(UTC),
        start=partial(start_approval, system.temporal),
        webhooks=parts.webhooks,
    )
    with ThreadPoolExecutor(4) as threads:
        async with Worker(
            system.temporal,
            task_queue=QUEUE,
            workflows=[Waiter],
            activities=activities.all(),
            activity_executor=threads,
            workflow_runner=QuickSandbox(),
        ):
            yield Desk(system)
