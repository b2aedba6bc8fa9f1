"""A connection that is lost in the middle of a statement."""

import asyncio
import os
import socket

import psycopg
import pytest

from adapters.postgres.ledger.pool import Database, connect
from adapters.postgres.ledger.prepared import Statement, run
from domain.errors import Unavailable

_SLOW = Statement(b"slow", b"SELECT pg_sleep(20)")


def _cut(connection: psycopg.Connection[object]) -> None:
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


async def test_a_connection_lost_in_mid_statement_is_an_operational_error(database_url: str) -> None:
    """It is the client library that says so, without the SQLSTATE that a server's word has."""
    with connect(database_url) as connection:
        slow = asyncio.create_task(asyncio.to_thread(run, connection, set(), _SLOW, []))
        await asyncio.sleep(0.3)
        _cut(connection)
        with pytest.raises(psycopg.OperationalError):
            await slow


async def test_the_pool_says_that_the_database_is_away(database_url: str) -> None:
    database = Database(database_url, size=1)
    database.open()
    try:
        lent = database.take()
        database.give_back(lent)  # the one that the next statement gets
        slow = asyncio.create_task(asyncio.to_thread(database.execute, _SLOW, []))
        await asyncio.sleep(0.3)
        _cut(lent.connection)
        with pytest.raises(Unavailable):
            await slow
    finally:
        database.close()
