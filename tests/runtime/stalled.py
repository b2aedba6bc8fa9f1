"""A workflow that stalls once, in the middle of a step of its event loop."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

from temporalio import workflow


@workflow.defn
class Stalled:
    """Stalls unless there is a file, where it notes what became of the stall."""

    @workflow.run
    async def run(self, path: str, seconds: float) -> str:
        await workflow.sleep(timedelta(milliseconds=1))
        with workflow.unsafe.sandbox_unrestricted():
            _stall_once(Path(path), seconds)
        await asyncio.sleep(0.001)
        return "done"


def _stall_once(path: Path, seconds: float) -> None:
    if path.exists():
        return
    path.write_text("begun")
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            time.sleep(0.01)
    except BaseException:
        path.write_text("interrupted")
        raise
    path.write_text("finished")
