"""The servers and processes of benchmarks, and the processor time and memory that they take."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import psutil

from runtime.embedded import Ports, PostgresServer, TemporalServer, ValkeyServer, run_server
from tests.scripted_model import start_scripted_model

ROOT = Path(__file__).parents[1]
READY_TIMEOUT_S = 60
ROLES = ("temporal", "worker", "api", "postgres", "valkey", "projections", "provider")
"""The measured processes, in the order of the tables."""


class Stage:
    """Servers and a scripted model of zero latency, migrated and ready; everything started ends with `stack`."""

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        self._stack = stack
        self.ports = Ports()
        self.roles: dict[str, psutil.Process] = {}
        postgres = PostgresServer(directory / "postgres", self.ports.pick())
        temporal = TemporalServer(
            directory / "temporal", port=self.ports.pick(), http_port=self.ports.pick(), ui_port=None
        )
        valkey = ValkeyServer(directory / "valkey", self.ports.pick())
        for server in (postgres, temporal, valkey):
            before = set(psutil.Process().children())
            stack.enter_context(run_server(server, directory / f"{server.name}.log"))
            self.roles[server.name] = (set(psutil.Process().children()) - before).pop()
        before = set(psutil.Process().children())
        self.model = stack.enter_context(start_scripted_model())
        self.roles["provider"] = (set(psutil.Process().children()) - before).pop()
        self.environment = {
            **os.environ,
            **postgres.environment,
            **temporal.environment,
            **valkey.environment,
            "OPENAI_BASE_URL": self.model.url,
            "CONVERGIO_MODEL": "scripted",
            "CONVERGIO_RATE_LIMIT": "off",
            "CONVERGIO_LOG_LEVEL": "warning",
        }
        subprocess.run(_convergio("migrate"), env=self.environment, check=True, cwd=ROOT)

    def reference(self, module: str, *options: str) -> tuple[str, dict[str, psutil.Process]]:
        """Start `python -m module worker|api [options]`; return the URL and the processes."""
        return self._start_all({part: [sys.executable, "-m", module, part, *options] for part in ("worker", "api")})

    def system(self, *, workers: int = 1) -> tuple[str, dict[str, psutil.Process]]:
        """Start the system; return the URL and the processes."""
        more = {f"worker {number}": _convergio("worker") for number in range(2, workers + 1)}
        return self._start_all({**more, **{part: _convergio(part) for part in ("projections", "worker", "api")}})

    def _start_all(self, commands: Mapping[str, list[str]]) -> tuple[str, dict[str, psutil.Process]]:
        port = self.ports.pick()
        environment = {**self.environment, "CONVERGIO_PORT": str(port)}
        parts = {part: self._start(command, environment) for part, command in commands.items()}
        _await_port(port)
        return f"http://127.0.0.1:{port}", {**self.roles, **parts}

    def _start(self, command: list[str], environment: Mapping[str, str]) -> psutil.Process:
        process = subprocess.Popen(command, env=dict(environment), cwd=ROOT)

        def stop() -> None:
            process.terminate()
            process.wait(10)

        self._stack.callback(stop)
        return psutil.Process(process.pid)


def cpu(roles: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Return the CPU seconds of each role so far, with its children and those that have ended."""
    used = {}
    for role, process in roles.items():
        times = [p.cpu_times() for p in _family(process)]
        ended = process.cpu_times()
        used[role] = sum(t.user + t.system for t in times) + ended.children_user + ended.children_system
    return used


def memory(roles: Mapping[str, psutil.Process]) -> dict[str, float]:
    """Return the MiB of each role, with its children."""
    return {role: sum(p.memory_info().rss for p in _family(process)) / 2**20 for role, process in roles.items()}


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _convergio(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "runtime.cli", *arguments]


def _await_port(port: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not any(c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in psutil.net_connections("tcp")):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens on {port}")
        time.sleep(0.1)
