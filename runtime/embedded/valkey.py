"""Valkey: rate limits and live frames."""

import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from runtime.embedded.programs import valkey_program
from runtime.supervisor.process import ProcessCommand


class ValkeyServer:
    """An append-only Valkey on loopback."""

    name = "valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, directory: Path, port: int, *, databases: int = 16) -> None:
        self._directory = directory.absolute()
        self._port = port
        self._databases = databases

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"REDIS_URL": self.url}

    @property
    def display_urls(self) -> Mapping[str, str]:
        return {"Valkey": self.url}

    def prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def command(self) -> ProcessCommand:
        options = {
            "port": self._port,
            "bind": "127.0.0.1",
            "dir": self._directory,
            "databases": self._databases,
            "appendonly": "yes",
            "save": "",
            "logfile": "",
        }
        flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return ProcessCommand((str(valkey_program()), *flags))

    def is_ready(self, pid: int) -> bool:
        del pid  # the port is reserved for this server
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
