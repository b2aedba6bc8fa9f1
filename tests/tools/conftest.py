"""A ledger and its views on a real database, for the tests of a module."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.tools import PostgresTools
from domain.ledger import Ledger
from domain.registry import event_registry


@dataclass(frozen=True)
class Store:
    """What tools are recorded in."""

    url: str
    database: Database
    ledger: Ledger
    content: PostgresContent
    reads: PostgresTools


@pytest.fixture(scope="module")
def store(module_database_url: str) -> Iterator[Store]:
    database = Database(module_database_url)
    database.open()
    ledger = Ledger(LedgerRecorder(database), event_registry())
    yield Store(module_database_url, database, ledger, PostgresContent(database), PostgresTools(database))
    database.close()
