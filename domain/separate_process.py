"""Work on what others wrote that may take long: done in a process of its own that can be given up.

What is certain to be short need not go here: each caller bounds its work first, and brings what is left. A process
that takes too long or too much memory is killed, and the next one starts afresh. It is given the work and nothing else.
"""

import resource
import signal
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as TookTooLong
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

LONGEST_S = 2.0
"""Seconds of a processor that one piece of work may take, however many a busy machine needs to give them."""
LONGEST_WAIT_S = 30.0
"""Seconds by the clock, after which it is given up all the same."""
MOST_MEMORY = 768 * 2**20
"""Bytes that it may take."""
AT_ONCE = 2
"""Processes of one process."""

_TRIES = 2

T = TypeVar("T")

_start = threading.Lock()


class TooMuch(Exception):  # noqa: N818  (it is an answer about the work, not a fault)
    """The work took too long, or too much memory."""


def apart(work: Callable[..., T], *given: object) -> T:
    """What comes of it. The function is one of a module; what it is given and gives can be pickled.

    Raises:
        TooMuch: it was given up, or no process can be started for it.
    """
    for _ in range(_TRIES):
        pool = _active_pool()
        try:
            result: T = pool.schedule(limited, args=(work, *given), timeout=LONGEST_WAIT_S).result()
        except (TookTooLong, ProcessExpired, MemoryError) as error:
            raise TooMuch(f"it took more than {LONGEST_S:g} seconds of work, or too much memory") from error
        except BrokenProcessPool:  # as when memory ran out for a moment: this pool is none any more
            continue
        return result
    raise TooMuch("no process can be started for it now")


def _active_pool() -> ProcessPool:
    with _start:
        if not _pool().active:
            _pool.cache_clear()
        return _pool()


def limited(work: Callable[..., T], *given: object) -> T:
    """What comes of it. The kernel ends this process after so much work, whether somebody still waits for it or not."""
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    signal.setitimer(signal.ITIMER_REAL, 2 * LONGEST_WAIT_S)  # should nobody be there any more to give it up
    try:
        return work(*given)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


@lru_cache(maxsize=1)
def _pool() -> ProcessPool:
    # a fork would copy locks that other threads hold, and sockets that are not its business
    return ProcessPool(max_workers=AT_ONCE, initializer=_confine, context=get_context("spawn"))


def _confine() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
