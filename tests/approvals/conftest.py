"""A stage for approvals on the run's own servers, and a receiver of webhooks."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from adapters.postgres.ledger.pool import Database
from adapters.web.webhooks import HttpWebhooks
from tests.approvals.stage import Stage, risks
from tests.system import new_namespace

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


@dataclass
class Receiver:
    """A receiver that checks signatures. It answers what is in `answers`, then 204."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    attempts: list[tuple[str, int]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.text()
        Webhook(SECRET).verify(body, dict(request.headers))
        status = self.answers.pop(0) if self.answers else 204
        self.attempts.append((request.headers["webhook-id"], status))
        if status == 204:
            self.taken.append(json.loads(body))
        return web.Response(status=status, headers=self.headers)

    @property
    def types(self) -> list[str]:
        return [taken["type"] for taken in self.taken]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/hook", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()


@pytest.fixture
async def stage(database_url: str, temporal_address: str) -> AsyncIterator[Stage]:
    """A stage without a worker."""
    namespace = await new_namespace(temporal_address)
    client = await Client.connect(temporal_address, namespace=namespace, data_converter=pydantic_data_converter)
    database = Database(database_url)
    database.open()
    yield Stage(client, database, risks())
    await asyncio.to_thread(database.close)


@pytest.fixture
async def working(stage: Stage) -> AsyncIterator[Stage]:
    """A stage with a worker."""
    async with stage.working():
        yield stage


@pytest.fixture
def webhooks(receiver: Receiver) -> HttpWebhooks:
    """What delivers to the receiver."""
    return HttpWebhooks(receiver.url, SECRET, lambda: datetime.now(UTC))
