"""Workers beside the one that the system starts by itself, as teams start them; whoever dies is started again."""

import asyncio
import os
import random
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.chaos.whole import Whole
from tests.servers import ROOT


class Fleet:
    """Workers. `kills` counts those that were killed."""

    def __init__(self, system: Whole) -> None:
        self.kills = 0
        self._system = system
        self._own: list[Process] = []

    async def grow(self, count: int) -> None:
        """Start more."""
        self._own += [await self._started() for _ in range(count)]

    async def kill_until(self, over: asyncio.Event, shortest_s: float, longest_s: float) -> None:
        """Kill one of them, whichever, again and again after such a time."""
        chance = random.Random(time.time_ns())  # noqa: S311  (chance, not secrecy)
        while not over.is_set():
            await asyncio.sleep(chance.uniform(shortest_s, longest_s))
            place = chance.randrange(len(self._own) + 1)
            if place == len(self._own):  # its supervisor starts it again
                mark = self._system.up.run().children["worker"]
                self.kills += mark.is_alive()
                mark.kill(signal.SIGKILL)
            else:
                self._own[place].kill()
                self.kills += await self._own[place].wait() == -signal.SIGKILL
                self._own[place] = await self._started()

    async def stop(self) -> None:
        for process in self._own:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _started(self) -> Process:
        system = self._system
        # servers and the secret to sign with are found in the data directory: without the secret no worker starts
        own = {"CONVERGIO_DATA_DIR": str(system.up.directory), "CONVERGIO_MODEL": "scripted"}
        servers = {**own, "OPENAI_BASE_URL": system.model.url}
        command = [sys.executable, "-m", "runtime.cli", "worker"]
        quiet = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env={**os.environ, **servers}, stdout=quiet, stderr=quiet
        )


@asynccontextmanager
async def fleet(system: Whole, count: int) -> AsyncIterator[Fleet]:
    """So many workers more, until the block ends."""
    workers = Fleet(system)
    try:
        await workers.grow(count)
        yield workers
    finally:
        await workers.stop()
