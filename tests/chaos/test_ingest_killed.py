"""Documents of all kinds that are indexed while workers die: each is found, and each chunk is there once."""

import asyncio
import random
import signal
from typing import Any

import psycopg
import pytest

from tests.chaos.conftest import Say
from tests.chaos.whole import Whole, eventually
from tests.fuzz_seed import SEED
from tests.knowledge.documents import every_kind

pytestmark = pytest.mark.prove

PATH = "/api/v1/vector"
ROUNDS = 23
KILLS = 6
_CHUNKS = """
    SELECT d.owner, d.chunks, count(c.number), count(DISTINCT c.number)
    FROM knowledge_documents AS d LEFT JOIN knowledge_chunks AS c USING (owner, generation)
    GROUP BY d.owner, d.chunks
"""
_LEFT = """
    SELECT (SELECT count(*) FROM knowledge_staged_chunks) + (SELECT count(*) FROM knowledge_indexing)
         + (SELECT count(*) FROM knowledge_chunks AS c LEFT JOIN knowledge_documents AS d USING (owner, generation)
            WHERE d.owner IS NULL)
"""


async def test_two_hundred_documents_are_indexed_though_workers_are_killed(system: Whole, measured: Say) -> None:
    dice = random.Random(SEED)  # noqa: S311  (nothing secret)
    submitting = asyncio.create_task(submit(system))
    for _ in range(KILLS):
        await asyncio.sleep(dice.uniform(0.5, 3.0))
        dead = system.up.pid("worker")
        system.signal("worker", signal.SIGKILL)
        await system.reborn("worker", dead)
    ids = await submitting

    async def processing() -> int:
        return int((await system.ask(f"{PATH}/documents", status="processing", limit="1"))["total"])

    async def over() -> bool:
        return await processing() == 0

    await eventually(over, 300)
    listed = (await system.ask(f"{PATH}/documents", limit="1000"))["data"]
    assert {each["document_id"] for each in listed} == set(ids)
    assert [each for each in listed if each["status"] != "indexed"] == []
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        for of, wanted, rows, numbers in connection.execute(_CHUNKS):
            assert wanted == rows == numbers, of
        assert connection.execute(_LEFT).fetchone() == (0,)
    calls = await system.ask("/api/v1/cost-management/ledger", kind="embedding", limit="1000")
    lost = sum(call["state"] == "unknown" for call in calls["data"])
    assert {call["state"] for call in calls["data"]} <= {"settled", "unknown"}
    measured(f"{len(ids)} documents, {KILLS} workers killed, {lost} calls of unknown end")


async def submit(system: Whole) -> list[str]:
    """Upload the documents, the kinds in turn; their ids."""
    ids: list[str] = []
    for number in range(ROUNDS):
        for name, content, media_type in every_kind(number):
            sent: Any = await system.http.post(f"{PATH}/index/file", files={"file": (name, content, media_type)})
            sent.raise_for_status()
            ids.append(sent.json()["document_id"])
    return ids
