"""Views made anew from the ledger while people talk."""

import asyncio

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.whole import Whole

pytestmark = pytest.mark.prove

SESSIONS, REBUILDS = 8, 3
TABLES = ("cost_calls", "cost_usage")
_COPY = SQL("COPY (SELECT * FROM {} ORDER BY 1, 2, 3, 4) TO STDOUT")


async def test_the_books_rebuilt_while_chats_go_on_are_byte_equal(system: Whole, measured: Say) -> None:
    over = asyncio.Event()
    talking = [asyncio.create_task(talk(system, f"talk-{number}", over)) for number in range(SESSIONS)]
    shown = [await rebuilt(system, "costs") for _ in range(REBUILDS)]
    over.set()
    turns = sum(await asyncio.gather(*talking))
    for rows in shown:
        assert [row[4] for row in rows] == list(TABLES)
        assert all(row[-1] == "yes" for row in rows), rows
    live = await text_of_the_books(system)
    rows = await rebuilt(system, "costs")
    assert await text_of_the_books(system) == live
    agreed = assert_books_agree(await system.calls(), system.model.bill())
    measured(
        f"{REBUILDS} rebuilds of the books during {turns} turns, at positions"
        f" {', '.join(each[0][2] for each in shown)} of {rows[0][2]}: each byte-equal to the live tables;"
        f" once more at rest: the same {len(live):,} bytes; calls {dict(agreed)}"
    )


async def talk(system: Whole, session: str, over: asyncio.Event) -> int:
    """How many turns were answered before it was over."""
    turns = 0
    while not over.is_set():
        response = await system.say(f"Message {turns + 1}.", session)
        assert response.status_code == httpx.codes.OK, response.text
        turns += 1
    return turns


async def rebuilt(system: Whole, projection: str) -> list[list[str]]:
    """Run `convergio rebuild` and return what it says of each table: the words of its rows."""
    rows = [line.split() for line in (await system.command("rebuild", projection)).splitlines()]
    return [row for row in rows if row[:1] == [projection]]


async def text_of_the_books(system: Whole) -> bytes:
    """Both tables as PostgreSQL writes them, in the order of their keys, once their view has caught up."""
    await system.usage()
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        text = b""
        for table in TABLES:
            with cursor.copy(_COPY.format(Identifier(table))) as copy:
                text += b"".join(bytes(part) for part in copy)
    return text
