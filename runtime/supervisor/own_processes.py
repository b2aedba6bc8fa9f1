"""The platform's own processes, as the supervisor starts them."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.embedded.probe import answers_http
from runtime.supervisor.process import ProcessCommand
from runtime.supervisor.readiness import has_announced
from runtime.supervisor.script import part_command

_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (an address to connect to, not to bind)


@dataclass(frozen=True, slots=True)
class ApiProcess:
    """`convergio api`, ready when it answers."""

    host: str
    port: int
    name: str = "api"
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def url(self) -> str:
        host = _ANYWHERE.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"CONVERGIO_HOST": self.host, "CONVERGIO_PORT": str(self.port)}

    @property
    def display_urls(self) -> Mapping[str, str]:
        return {"API": f"{self.url}/api/v1", "API documentation": f"{self.url}/docs"}

    def prepare(self) -> None:
        """Do nothing."""

    def command(self) -> ProcessCommand:
        return part_command("api")

    def is_ready(self, pid: int) -> bool:
        del pid
        return answers_http(self.port, "/health/live", host=_ANYWHERE.get(self.host, self.host))


@dataclass(frozen=True, slots=True)
class BackgroundProcess:
    """`convergio worker` or `convergio projections`, ready when its file says so."""

    name: str
    ready_file: Path
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def environment(self) -> Mapping[str, str]:
        return {}

    @property
    def display_urls(self) -> Mapping[str, str]:
        return {}

    def prepare(self) -> None:
        self.ready_file.parent.mkdir(parents=True, exist_ok=True)
        self.ready_file.unlink(missing_ok=True)

    def command(self) -> ProcessCommand:
        command = part_command(self.name)
        ready = {"CONVERGIO_READY_FILE": str(self.ready_file)}
        return replace(command, environment={**command.environment, **ready})

    def is_ready(self, pid: int) -> bool:
        return has_announced(self.ready_file, pid)
