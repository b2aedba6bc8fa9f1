"""The pause of a full garbage collection in a worker, by the number of workflows it caches.

`python -m bench pause [--runs 0,300,1000] [--times 5]`. System and worker share this process and its heap, so the
pauses are upper bounds. There is no reference: the pause has to be bounded by the size of the cache.
"""

import argparse
import asyncio
import gc
import logging
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import structlog
from rich.console import Console
from rich.table import Table

from bench.stage import Stage
from runtime.event_loop import freeze_garbage_collector
from runtime.settings import Settings
from tests.system import System, running, settings_of

CONCURRENCY = 50
"""Number of sessions opened concurrently."""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--runs", default="0,300,1000")
    options.add_argument("--times", type=int, default=5)
    given = options.parse_args()
    sizes = sorted(int(size) for size in given.runs.split(","))
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o755)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        asyncio.run(_measure(_settings(Stage(stack, Path(directory))), sizes, given.times))


def _settings(stage: Stage) -> Settings:
    return settings_of(
        database_url=stage.environment["DATABASE_URL"],
        temporal_address=stage.environment["TEMPORAL_ADDRESS"],
        redis_url=stage.environment["REDIS_URL"],
        model_url=stage.model.url,
        namespace="default",
    )


async def _measure(settings: Settings, sizes: list[int], times: int) -> None:
    table = Table("cached runs", "objects", "median ms", "longest ms", title="a full garbage collection")
    async with running(settings) as system:
        await _open(system, 1)
        freeze_garbage_collector()
        cached = 1
        for size in sizes:
            await _open(system, size - cached)
            cached = max(cached, size)
            gc.collect()
            pauses = sorted(_pause_ms() for _ in range(times))
            table.add_row(str(cached), str(len(gc.get_objects())), f"{pauses[times // 2]:.0f}", f"{pauses[-1]:.0f}")
    Console(width=80).print(table)


async def _open(system: System, sessions: int) -> None:
    """Open so many sessions, whose workflows stay in the worker's cache."""
    for first in range(0, sessions, CONCURRENCY):
        names = [f"pause-{uuid4().hex}" for _ in range(min(CONCURRENCY, sessions - first))]
        answers = await asyncio.gather(*(system.say("Hello.", name) for name in names))
        if not all(answer.is_success for answer in answers):
            raise RuntimeError("a session was not answered")


def _pause_ms() -> float:
    begun = time.perf_counter()
    gc.collect()
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main()
