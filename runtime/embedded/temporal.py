"""Temporal's development server with its Web UI, tuned."""

import secrets
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from runtime.embedded.probe import answers_http
from runtime.embedded.programs import temporal_program
from runtime.supervisor.process import ProcessCommand

DYNAMIC_CONFIG: Mapping[str, object] = {
    # The default of 20 a second and shard puts a 50 ms tick on every hand-over inside the server, which has one shard.
    "history.transferProcessorMaxPollRPS": 2000,
    "history.timerProcessorMaxPollRPS": 2000,
    "history.visibilityProcessorMaxPollRPS": 2000,
    "history.outboundProcessorMaxPollRPS": 2000,
    # One partition: fair order instead of stragglers.
    "matching.numTaskqueueReadPartitions": 1,
    "matching.numTaskqueueWritePartitions": 1,
    # Without it fairness keys are silently ignored.
    "matching.enableFairness": True,
    "history.maxInFlightUpdates": 100,
    # Long polls (waiting updates among them) of one namespace; 1,200 by default.
    "frontend.namespaceCount": 20000,
}
CACHES: Mapping[str, object] = {
    # All together must stay far below HEAP_MIB, or the collector runs all the time once they are full, and a turn takes
    # half as long again. The sizes are those of serialized objects: in memory they are several times larger.
    # Workflow states in memory: limited by bytes, not to 128,000 of any size.
    "history.cacheSizeBasedLimit": True,
    "history.hostLevelCacheMaxSizeBytes": 8 * 2**20,
    "history.eventsCacheMaxSizeBytes": 2 * 2**20,
    # Histories for other clusters, of which there are none.
    "history.xdcCacheMaxSizeBytes": 64 * 2**10,
}
HEAP_MIB = 256
"""The Go collector's soft limit, in MiB, without the program and SQLite's own memory."""
BOUND_MIB = HEAP_MIB + 192
"""The most memory of the whole process under load, in MiB."""


class TemporalServer:
    """`temporal server start-dev` on a file that survives a kill.

    It trusts whoever reaches it, and any web page can make a browser reach loopback. Pages cannot speak gRPC. The HTTP
    port, which cannot be disabled, answers only to a host name that only this process knows; the Web UI listens on an
    unguessable loopback address, behind a proxy on `ui_port`, which the supervisor runs.
    """

    name = "temporal"
    stop_signal = signal.SIGTERM

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        http_port: int,
        ui_port: int | None,
        search_attributes: tuple[str, ...] = (),
        heap_mib: int = HEAP_MIB,
    ) -> None:
        """Set up the server; `ui_port` None disables the Web UI. `search_attributes` are for test servers.

        `heap_mib` is a soft limit that must be well above what is in use: the collector runs without a pause at it.
        """
        self._file = store_file(directory.absolute())
        self._port = port
        self._http_port = http_port
        self._ui_port = ui_port
        self._http_host = f"{secrets.token_hex(16)}.invalid"
        self._inner_ui = (_hidden_address(), ui_port if sys.platform == "linux" else _free_port()) if ui_port else None
        self._search_attributes = search_attributes
        self._heap_mib = heap_mib

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    @property
    def ui_url(self) -> str | None:
        return None if self._ui_port is None else f"http://127.0.0.1:{self._ui_port}"

    @property
    def ui_port(self) -> int | None:
        """The port for the Web UI's proxy."""
        return self._ui_port

    @property
    def inner_ui_url(self) -> str | None:
        """The URL of the Web UI itself: for its proxy only."""
        return None if self._inner_ui is None else "http://{}:{}".format(*self._inner_ui)

    @property
    def environment(self) -> Mapping[str, str]:
        return {"TEMPORAL_ADDRESS": self.address} | ({"TEMPORAL_UI_URL": self.ui_url} if self.ui_url else {})

    @property
    def display_urls(self) -> Mapping[str, str]:
        return {"Temporal": self.address} | ({"Temporal Web UI": self.ui_url} if self.ui_url else {})

    def prepare(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self) -> ProcessCommand:
        flags = ["--ip", "127.0.0.1", "--port", str(self._port), "--http-port", str(self._http_port)]
        flags += ["--headless"] if self._inner_ui is None else self._ui_flags(*self._inner_ui)
        flags += ["--dynamic-config-value", f'frontend.httpAllowedHosts=["{self._http_host}"]']
        flags += ["--db-filename", str(self._file), "--log-level", "error"]
        flags += ["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"]
        for key, value in {**DYNAMIC_CONFIG, **CACHES}.items():
            flags += ["--dynamic-config-value", f"{key}={str(value).lower()}"]
        for name in self._search_attributes:
            flags += ["--search-attribute", f"{name}=Keyword"]
        return ProcessCommand(
            (str(temporal_program()), "server", "start-dev", *flags), {"GOMEMLIMIT": f"{self._heap_mib}MiB"}
        )

    def _ui_flags(self, host: str, port: int) -> list[str]:
        return ["--ui-ip", host, "--ui-port", str(port), "--ui-disable-news-fetch"]

    def is_ready(self, pid: int) -> bool:
        del pid  # the port is reserved for this server
        return answers_http(self._http_port, "/api/v1/namespaces/default", name=self._http_host)


def store_file(directory: Path) -> Path:
    """Return the file below the server's directory that holds all its state."""
    return directory / "temporal.db"


def _hidden_address() -> str:
    """Return one of the sixteen million loopback addresses, if the system has them all."""
    if sys.platform != "linux":
        return "127.0.0.1"
    return f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
