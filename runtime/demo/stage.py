"""The system under demonstration: its own `convergio up` with the local model, in a temporary directory."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from domain.agents.names import ALI
from runtime.data_directory import RunRecord, running_in
from runtime.embedded.server import StartFailed, last_lines
from runtime.supervisor.script import part_command

AGENT = ALI
ANSWER_TIMEOUT_S = 180.0
_START_TIMEOUT_S = 180.0
_STOP_TIMEOUT_S = 90.0
_OUTSIDE = ("CONVERGIO_", "DATABASE_URL", "OPENAI_", "REDIS_URL", "TEMPORAL_")


class DemoSystem:
    """A running system of the demo's own."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], log: Path) -> None:
        self.directory = directory
        self._process = process
        self._log = log
        self._run: RunRecord | None = None
        self._http = httpx2.Client(timeout=ANSWER_TIMEOUT_S + 10)

    def wait_until_healthy(self) -> None:
        """Return when every server answers, the model included.

        Raises:
            StartFailed: they do not.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise StartFailed(f"convergio up did not start:\n{last_lines(self._log)}")
            time.sleep(0.2)

    def _is_healthy(self) -> bool:
        run = running_in(self.directory)
        if run is None or not run.url.startswith("http"):
            return False
        self._run, self._http.base_url = run, httpx2.URL(run.url)
        try:
            return bool(self._http.get("/health").json()["status"] == "healthy")
        except (httpx2.TransportError, ValueError, KeyError):
            return False

    @property
    def run(self) -> RunRecord:
        """The supervisor's latest record."""
        self._run = running_in(self.directory) or self._run
        if self._run is None:
            raise StartFailed(f"convergio up has ended:\n{last_lines(self._log)}")
        return self._run

    def kill(self, part: str) -> int:
        """Kill a part with SIGKILL; return its process id."""
        mark = self.run.children[part]
        mark.kill(signal.SIGKILL)
        return mark.pid

    def send_message(self, message: str, session_id: str) -> httpx2.Response:
        """Send a message, and wait for the answer."""
        body = {
            "agent_id": AGENT,
            "message": message,
            "context": {"session_id": session_id},
            "timeout_s": ANSWER_TIMEOUT_S,
        }
        return self._http.post("/api/v1/agents/chat", json=body)

    def turns(self, session_id: str) -> list[dict[str, Any]]:
        """Return the session's turns, in order."""
        return list(self._ask(f"/api/v1/agents/chat/{session_id}")["turns"])

    def calls(self) -> list[dict[str, Any]]:
        """Return every attempt at a model call in the cost ledger, oldest first."""
        return list(self._ask("/api/v1/cost-management/ledger")["data"])[::-1]

    def _ask(self, path: str) -> dict[str, Any]:
        return dict(self._http.get(path).raise_for_status().json())

    def stop(self) -> bool:
        """Stop everything. Returns True if it ended well and left nothing running."""
        self._http.close()
        run = running_in(self.directory) or self._run
        self._process.terminate()
        try:
            code = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return code == 0 and not any(mark.is_alive() for mark in (run.children.values() if run else ()))


@contextmanager
def demo_system() -> Iterator[DemoSystem]:
    """Start a system, and stop it at the end if it still runs. The shell's settings do not reach it."""
    with TemporaryDirectory(prefix="convergio-demo-") as directory:
        data, log = Path(directory) / "data", Path(directory) / "log"
        up = replace(part_command("up", "--port", "0", "--data-dir", str(data)), orphan_signal=signal.SIGTERM)
        outside = {name for name in os.environ if name.startswith(_OUTSIDE)}
        environment = {name: value for name, value in up.full_environment().items() if name not in outside}
        environment["CONVERGIO_RATE_LIMIT"] = "off"  # the demo reads the cost ledger many times a second
        with log.open("wb") as output:
            process = subprocess.Popen(up.tethered_argv(), env=environment, stdout=output, stderr=output)  # noqa: S603  (ourselves)
        started = DemoSystem(data, process, log)
        try:
            yield started
        finally:
            if process.poll() is None:
                started.stop()
