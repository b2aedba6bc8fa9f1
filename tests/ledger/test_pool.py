"""A connection that is lost in the middle of a statement."""

import asyncio
from urllib.parse import urlsplit

import pytest

from adapters.postgres.pool import Database
from adapters.postgres.prepared import Statement
from domain.errors import Unavailable
from tests.outages import relay

_SLOW = Statement(b"slow", b"SELECT pg_sleep(20)")
_QUICK = Statement(b"quick", b"SELECT 1")


async def test_a_connection_lost_in_mid_statement_is_a_database_that_is_away(database_url: str) -> None:
    at = urlsplit(database_url)
    async with relay(f"{at.hostname}:{at.port}") as way:
        database = Database(at._replace(netloc=at.netloc.replace(str(at.port), str(way.port))).geturl())
        database.open()
        try:
            slow = asyncio.create_task(asyncio.to_thread(database.execute, _SLOW, []))
            await asyncio.sleep(0.5)
            async with way.away():
                with pytest.raises(Unavailable):
                    await slow
            assert (await asyncio.to_thread(database.execute, _QUICK, [])).ntuples == 1
        finally:
            database.close()
