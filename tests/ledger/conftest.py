"""A ledger of toys on a database of the test's own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.embedded import Ports, PostgresServer
from tests.ledger.toys import Platform, platform_on


@pytest.fixture
def platform(database_url: str) -> Iterator[Platform]:
    with platform_on(database_url) as platform:
        yield platform


@pytest.fixture
def private_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that does not run yet, to be stopped and started at will."""
    with tempfile.TemporaryDirectory(prefix="convergio-test-") as directory:
        Path(directory).chmod(0o755)  # the server's user reaches it, also when we are root
        yield PostgresServer(Path(directory), Ports().pick(), durable=False)
