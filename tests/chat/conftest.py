"""A system without a worker."""

from collections.abc import AsyncIterator

import pytest_asyncio

from runtime.settings import Settings
from tests.system import AGENT, System, running, until


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unworked(shared_settings: Settings) -> AsyncIterator[System]:
    """The system that a module's tests share, without a worker: activities are what the tests make of them."""
    async with running(shared_settings, working=False) as started:
        await until(lambda: started.http.get(f"/api/v1/agents/{AGENT}"), lambda response: response.is_success)
        yield started
