"""What has happened is written, come what may."""

import asyncio
import threading

import pytest
import structlog

from activities import durable_write as module
from activities.durable_write import write_durably
from domain.errors import Conflict, Unavailable

LOG = structlog.get_logger("test")


class Writing:
    """A write that fails as often as it is told to, and goes on when it is let."""

    def __init__(self, *, away: int = 0) -> None:
        self.away = away
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.written = 0

    def __call__(self) -> str:
        self.begun.set()
        self.goes_on.wait(5)
        if self.away:
            self.away -= 1
            raise Unavailable("the database cannot be reached")
        self.written += 1
        return "written"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.01)


async def test_it_is_written_again_until_the_database_is_back() -> None:
    write = Writing(away=3)
    write.goes_on.set()
    assert await write_durably(write, LOG) == "written"
    assert write.written == 1


async def test_a_cancellation_comes_after_what_was_to_be_written_however_often() -> None:
    write = Writing(away=2)
    task = asyncio.create_task(write_durably(write, LOG))
    await asyncio.to_thread(write.begun.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.01)
    assert not task.done()
    write.goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert write.written == 1


async def test_a_refusal_is_passed_on() -> None:
    def refused() -> None:
        raise Conflict("it stands already")

    with pytest.raises(Conflict):
        await write_durably(refused, LOG)
