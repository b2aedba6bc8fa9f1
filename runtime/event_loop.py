"""Event loops and garbage collection of long-lived processes."""

import asyncio
import gc
import signal

import uvloop

_COLLECT_AFTER = 50_000


def uvloop_runner() -> asyncio.Runner:
    """Return a runner on uvloop."""
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def freeze_garbage_collector() -> None:
    """Exclude the objects created at start from garbage collection, and collect the youngest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 50)
