"""Signing keys on a database of the test's own."""

from base64 import b64encode
from collections.abc import Iterator

import pytest

from tests.signatures.keys import Deployment, deployment_on


@pytest.fixture
def deployment(database_url: str) -> Iterator[Deployment]:
    with deployment_on(database_url) as deployment:
        yield deployment


@pytest.fixture
def secret() -> str:
    return b64encode(bytes(range(32))).decode()
