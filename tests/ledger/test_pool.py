"""The pool of connections: losses in the middle of a statement, outages, and more threads than connections."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from adapters.postgres.ledger.pool import Database, connect
from adapters.postgres.ledger.prepared import Statement, execute_prepared
from domain.errors import Unavailable
from tests.outages import database_away

_ONE = Statement(b"one", b"SELECT 1")
_SLOW = Statement(b"slow", b"SELECT pg_sleep(20)")


def _cut(connection: psycopg.Connection[object]) -> None:
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


async def test_a_connection_lost_in_mid_statement_is_an_operational_error(database_url: str) -> None:
    """It is the client library that says so, without the SQLSTATE that a server's word has."""
    with connect(database_url) as connection:
        slow = asyncio.create_task(asyncio.to_thread(execute_prepared, connection, set(), _SLOW, []))
        await asyncio.sleep(0.3)
        _cut(connection)
        with pytest.raises(psycopg.OperationalError):
            await slow


async def test_the_pool_says_that_the_database_is_away(database_url: str) -> None:
    database = Database(database_url, size=1)
    database.open()
    try:
        with database.connection() as connection:
            pass  # the only one, so the next statement gets it
        slow = asyncio.create_task(asyncio.to_thread(database.execute, _SLOW, []))
        await asyncio.sleep(0.3)
        _cut(connection)
        with pytest.raises(Unavailable):
            await slow
    finally:
        database.close()


def _ask(database: Database) -> float:
    """Run a statement; return the seconds that it took."""
    began = time.monotonic()
    database.execute(_ONE, [])
    return time.monotonic() - began


def _ask_at_once(database: Database, threads: int = 8) -> list[float]:
    with ThreadPoolExecutor(threads) as pool:
        return [asked.result() for asked in [pool.submit(_ask, database) for _ in range(threads)]]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=4)
    database.open()
    yield database
    database.close()


def test_a_database_that_is_away_is_refused_soon_and_used_as_soon_as_it_is_back(
    database: Database, postgres_server: str
) -> None:
    _ask_at_once(database)
    with database_away(postgres_server, database.dsn):
        for _ in range(6):  # an outage of seconds, in which the pool's own attempts would have slowed down
            began = time.monotonic()
            with pytest.raises(Unavailable):
                _ask(database)
            assert time.monotonic() - began < 1.5
            time.sleep(0.5)
    assert max(_ask_at_once(database)) < 0.9


def test_all_connections_that_were_lost_while_idle_are_replaced_at_once(
    database: Database, postgres_server: str
) -> None:
    for _ in range(3):
        _ask_at_once(database)
        with database_away(postgres_server, database.dsn):
            time.sleep(0.2)  # until each connection has been told
        assert max(_ask_at_once(database)) < 0.9


def test_more_threads_than_connections_wait_for_each_other(database: Database) -> None:
    assert len(_ask_at_once(database, threads=40)) == 40


def test_a_thread_that_waits_gets_the_connection_that_comes_back(database_url: str) -> None:
    database = Database(database_url, size=1)
    database.open()
    try:
        with ThreadPoolExecutor(1) as pool:
            with database.connection():
                waiting = pool.submit(_ask, database)
                time.sleep(0.5)
            assert 0.4 < waiting.result(timeout=2) < 1.5
    finally:
        database.close()


def test_a_pool_that_is_not_open_any_more_says_so(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(Unavailable, match="closed"):
        _ask(database)
    database.open()
    _ask(database)
    database.close()
    with pytest.raises(Unavailable, match="closed"):
        _ask(database)
