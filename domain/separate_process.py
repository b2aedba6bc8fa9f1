"""Processes for work on untrusted input that may take long: each can be killed.

Work that is certain to be short need not go here: each caller bounds its work first and sends the rest. A process that
uses too much time or memory is killed, and the next call starts another. It receives its work and nothing else.
"""

import contextlib
import resource
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from queue import Empty, LifoQueue
from typing import Any, TypeVar, cast

LONGEST_S = 2.0
"""Seconds of CPU that one piece of work may use, however many a busy machine needs to give them."""
LONGEST_WAIT_S = 30.0
"""Seconds by the clock after which work is killed all the same."""
START_TIMEOUT_S = 30.0
"""Seconds by the clock that a process may take to start."""
LONGEST_QUEUE_S = 60.0
"""Seconds by the clock that work waits for a free process."""
MOST_MEMORY = 768 * 2**20
"""Bytes of data that a process may hold."""
AT_ONCE = 2
"""Processes that one process of ours has."""

_STARTS = 2
_READY = "ready"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WorkLimits:
    """The limits of one piece of work: seconds of CPU, seconds by the clock, and bytes of data."""

    cpu_s: float
    wait_s: float
    memory: int


class WorkLimitExceeded(Exception):  # noqa: N818  (it is an answer about the work, not a fault)
    """The work took too long or too much memory, or no process was free or could be started for it."""


class NoFreeProcess(WorkLimitExceeded):
    """No process was free or could be started for it in time: nothing is known about the work."""


def run_in_process(work: Callable[..., T], *given: object) -> T:
    """Return `work(*given)`, computed in another process. `work` is a module's function; input and output are pickled.

    Raises:
        WorkLimitExceeded: the process was killed, or none is free or can be started.
        Exception: whatever the work raises.
    """
    return _common_pool().run(work, *given)


class ProcessPool:
    """Processes for work with limits of its own. None is started before it is needed."""

    def __init__(self, limits: WorkLimits | None, at_once: int, *, queue_s: float = LONGEST_QUEUE_S) -> None:
        """Without limits the usual ones apply."""
        self._queue_s = queue_s
        self._processes: LifoQueue[_Process] = LifoQueue()  # the last used one is the warm one
        for _ in range(at_once):
            self._processes.put(_Process(limits))

    def run(self, work: Callable[..., T], *given: object) -> T:
        """Return `work(*given)`; see `run_in_process`."""
        with self.reserve() as process:
            return cast("T", process.call(work, given))

    @contextlib.contextmanager
    def reserve(self) -> "Iterator[_Process]":
        """Lend a process to the caller alone."""
        try:
            process = self._processes.get(timeout=self._queue_s)
        except Empty:
            raise NoFreeProcess("no process was free for it in time") from None
        try:
            yield process
        finally:
            self._processes.put(process)


def run_limited(work: Callable[..., T], *given: object, limits: WorkLimits | None = None) -> T:
    """Return `work(*given)`. The kernel ends this process at the limits, whether somebody still waits for it or not."""
    limits = limits or _usual_limits()
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
    signal.setitimer(signal.ITIMER_REAL, 2 * limits.wait_s)  # should nobody be there any more to kill it
    try:
        return work(*given)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


class _Process:
    """A process, started when first called and again after it was killed. It is used by one caller at a time.

    One pipe for each, shared with no other process: a pool whose processes share a queue and its lock hangs for ever
    when one of them is killed at the wrong moment.
    """

    def __init__(self, limits: WorkLimits | None) -> None:
        self._given = limits
        self._pipe: Connection | None = None
        self._process: Any = None

    @property
    def _limits(self) -> WorkLimits:
        return self._given or _usual_limits()

    def call(self, work: Callable[..., object], given: tuple[object, ...]) -> object:
        pipe = self._started()
        try:
            failed, result = _exchange(pipe, (work, given), self._limits.wait_s)
        except (EOFError, OSError) as error:
            self.kill()
            raise _limit_error(self._limits) from error
        except BaseException:
            self.kill()  # what is in the pipe belongs to no one now
            raise
        if not failed:
            return result
        if isinstance(result, MemoryError):
            self.kill()
            raise _limit_error(self._limits) from result
        raise cast("Exception", result)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _started(self) -> Connection:
        for _ in range(_STARTS):
            if self._pipe is not None and self._process.is_alive():
                return self._pipe
            self.kill()
            with contextlib.suppress(OSError, EOFError):  # as when memory runs out for a moment
                self._start()
        if self._pipe is None:
            raise NoFreeProcess("no process can be started for it now")
        return self._pipe

    def _start(self) -> None:
        # a fork would copy locks that other threads hold, and sockets that are not its business
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._limits), name="convergio-work", daemon=True)
        try:
            self._process.start()
        except BaseException:
            self._process = None
            ours.close()
            raise
        finally:
            theirs.close()  # else the end of the process would not end the pipe
        if ours.poll(START_TIMEOUT_S) and ours.recv() == _READY:
            self._pipe = ours
        else:
            ours.close()


def _exchange(pipe: Connection, message: object, wait_s: float) -> tuple[bool, object]:
    pipe.send(message)
    if not pipe.poll(wait_s):
        raise EOFError
    return cast("tuple[bool, object]", pipe.recv())


def _serve(pipe: Connection, limits: WorkLimits) -> None:
    """Answer calls until the pipe ends, which it does when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(EOFError, OSError):
        pipe.send(_READY)
        while True:
            work, given = pipe.recv()
            try:
                answer = (False, run_limited(work, *given, limits=limits))
            except Exception as error:  # noqa: BLE001  (it is raised again where the caller waits)
                answer = (True, error)
            try:
                pipe.send(answer)
            except (TypeError, ValueError, AttributeError, MemoryError) as error:  # it cannot be pickled
                pipe.send((True, RuntimeError(f"{type(error).__name__}: {error}")))


def _reserved_process() -> "contextlib.AbstractContextManager[_Process]":
    return _common_pool().reserve()


_first = threading.Lock()


def _common_pool() -> ProcessPool:
    with _first:
        return _made_once()


@lru_cache(maxsize=1)
def _made_once() -> ProcessPool:
    return ProcessPool(None, AT_ONCE)


def _usual_limits() -> WorkLimits:
    return WorkLimits(LONGEST_S, LONGEST_WAIT_S, MOST_MEMORY)


def _limit_error(limits: WorkLimits) -> WorkLimitExceeded:
    return WorkLimitExceeded(f"it took more than {limits.cpu_s:g} seconds of work, or too much memory")
