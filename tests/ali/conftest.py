"""One system for the tests of a module that need nothing of their own."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.scripted_model import ScriptedModel
from tests.system import System, new_namespace, running, settings_of


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    module_database_url: str, temporal_address: str, valkey_server: str, model_process: ScriptedModel
) -> AsyncIterator[System]:
    """A whole system that the module's tests share. Ask for `scripted_model` as well: that empties its script."""
    settings = settings_of(
        database_url=module_database_url,
        temporal_address=temporal_address,
        redis_url=valkey_server,
        model_url=model_process.url,
        namespace=await new_namespace(temporal_address),
        admin_key="cvg_the-first-admin-key",
    )
    async with running(settings) as started:
        yield started
