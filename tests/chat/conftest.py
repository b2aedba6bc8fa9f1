"""One system for the tests of a module that need nothing of their own, with a worker or without."""

from collections.abc import AsyncIterator

import pytest_asyncio

from runtime.settings import Settings
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System, new_namespace, running, settings_of, until

ADMIN_KEY = "cvg_the-first-admin-key"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_settings(
    module_database_url: str, temporal_address: str, valkey_server: str, model_process: ScriptedModel
) -> Settings:
    return settings_of(
        database_url=module_database_url,
        temporal_address=temporal_address,
        redis_url=valkey_server,
        model_url=model_process.url,
        namespace=await new_namespace(temporal_address),
        admin_key=ADMIN_KEY,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(shared_settings: Settings) -> AsyncIterator[System]:
    """A whole system that the module's tests share. Ask for `scripted_model` as well: that empties its script."""
    async with running(shared_settings) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unworked(shared_settings: Settings) -> AsyncIterator[System]:
    """The same without a worker: activities are what the tests make of them."""
    async with running(shared_settings, working=False) as started:
        await until(lambda: started.http.get(f"/api/v1/agents/{AGENT}"), lambda response: response.is_success)
        yield started
