"""A `convergio up` of a test's own, as a real process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.data_directory import RunRecord, running_in
from tests.servers import ROOT

_START_S, _STOP_S = 60.0, 30.0


class Up:
    """A running supervisor. `output` holds what it has written so far."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], output: Path) -> None:
        self.directory = directory
        self.process = process
        self._output = output

    @property
    def output(self) -> str:
        return self._output.read_text()

    def run(self) -> RunRecord:
        run = running_in(self.directory)
        assert run is not None, self.output
        return run

    def pid(self, part: str) -> int:
        return self.run().children[part].pid

    def kill(self, part: str) -> None:
        os.kill(self.pid(part), signal.SIGKILL)

    def wait_until_ready(self, seconds: float = _START_S) -> None:
        until(lambda: "convergio is ready" in self.output or self.process.poll() is not None, seconds)
        assert self.process.poll() is None, self.output

    def wait_until_reborn(self, part: str, dead: int) -> None:
        """Return when `part` runs again, and says that it is ready."""
        until(lambda: self.pid(part) != dead and f'"pid":{self.pid(part)},' in self.output, _START_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(_STOP_S)


@contextmanager
def start_up(directory: Path, *options: str, in_background: bool = False, **variables: str) -> Iterator[Up]:
    """`convergio up` on the directory without the local model, its API on any free port; not yet ready.

    `in_background` is how a script's `&` starts it: with SIGINT ignored.
    """
    command = [sys.executable, "-m", "runtime.cli", "up", "--data-dir", str(directory), "--no-llm"]
    command += options or ("--port", "0")
    if in_background:
        command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    output = directory.with_suffix(f".{time.monotonic_ns()}.out")
    with output.open("wb") as file:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stdout=file, stderr=file)
    try:
        yield Up(directory, process, output)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
