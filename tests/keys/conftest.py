"""A whole system that requires keys."""

from collections.abc import AsyncIterator

import pytest_asyncio

from runtime.settings import Settings
from tests.system import System, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(shared_settings: Settings) -> AsyncIterator[System]:
    """A whole system that requires keys."""
    async with running(Settings(**{**shared_settings.model_dump(), "auth": "keys"})) as system:
        yield system
