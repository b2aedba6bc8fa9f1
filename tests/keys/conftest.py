"""A whole system that requires keys."""

import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from runtime.settings import Settings
from tests.system import System, running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(shared_settings: Settings) -> AsyncIterator[System]:
    """A whole system that requires keys."""
    async with running(Settings(**{**shared_settings.model_dump(), "auth": "keys"})) as system:
        yield system


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """Two ports on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]
