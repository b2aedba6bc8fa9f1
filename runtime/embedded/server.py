"""The interface of embedded servers, and the life cycle of one."""

import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from runtime.supervisor.process import ProcessCommand

START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 15.0
_TAIL_LINES = 15


class StartFailed(Exception):  # noqa: N818  (it says what happened)
    """A server or part did not start; the message contains the last lines of its log."""


class Server(Protocol):
    """One server on this machine. All its files are below its own directory."""

    @property
    def name(self) -> str: ...

    @property
    def stop_signal(self) -> signal.Signals: ...

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which the parts find it."""
        ...

    @property
    def display_urls(self) -> Mapping[str, str]:
        """Labels and URLs to show to people."""
        ...

    def prepare(self) -> None:
        """Create or repair its directory; called before every start, blocks.

        Raises:
            StartFailed: it cannot run here.
        """
        ...

    def command(self) -> ProcessCommand: ...

    def is_ready(self, pid: int) -> bool:
        """Return True if process `pid` answers as this server. Blocks for a second at most."""
        ...


@contextmanager
def run_server(server: Server, log: Path, *, timeout_s: float = START_TIMEOUT_S) -> Iterator[None]:
    """Run `server` for the length of the block, its output appended to `log`.

    Raises:
        StartFailed: it ended or was not ready within `timeout_s` seconds.
    """
    server.prepare()
    command = server.command()
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  (our own servers)
            command.tethered_argv(),
            env=command.full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(server, process, log, timeout_s)
        yield
    finally:
        _stop(process, server.stop_signal)


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not server.is_ready(process.pid):
        if process.poll() is not None:
            raise StartFailed(f"{server.name} ended with code {process.returncode}:\n{last_lines(log)}")
        if time.monotonic() > deadline:
            raise StartFailed(f"{server.name} was not ready after {timeout_s:.0f} s:\n{last_lines(log)}")
        time.sleep(0.02)


def _stop(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    process.send_signal(number)
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def last_lines(log: Path) -> str:
    """Return the end of a log file, to be shown when its writer failed."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-_TAIL_LINES:])
