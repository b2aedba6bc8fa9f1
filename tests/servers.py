"""The real servers that tests run against, one of each for all workers of a test run.

The first test that asks for a server starts a keeper, which starts the server; every test process that uses it holds a
connection to the keeper for as long as it lives. When the last one is closed, also by a kill, the keeper stops the
server and removes its data.
"""

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

from runtime.embedded import Ports, PostgresServer, Server, StartFailed, TemporalServer, ValkeyServer, run_server

ROOT = Path(__file__).parents[1]
SEARCH_ATTRIBUTES = ("ConvergioKind", "AgentId", "ProjectId", "ApiKeyId", "TenantId")
VALKEY_DATABASES = 10_000
TEMPORAL_HEAP_MIB = 2048
"""Enough for a namespace of each test that asks for one, all on one server."""
_START_TIMEOUT_S = 60.0


class Joined:
    """One test process's hold on a server; `environment` names it as the parts of the system would be told."""

    def __init__(self, connection: socket.socket, environment: dict[str, str]) -> None:
        self._connection = connection
        self.environment = environment

    def leave(self) -> None:
        self._connection.close()


def join(kind: str, run: Path) -> Joined:
    """Take hold of this run's server of that kind, and start it when nobody has. `run` is the run's own directory."""
    with _locked(run / f"{kind}.lock"):
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(_START_TIMEOUT_S)
            with suppress(OSError):
                connection.connect(str(run / f"{kind}.socket"))
                if answer := connection.makefile().readline():
                    return _joined(connection, json.loads(answer))
            connection.close()
            _start_keeper(kind, run)
    raise StartFailed(f"no keeper for {kind}: see {run}/{kind}.log")


def _joined(connection: socket.socket, answer: dict[str, dict[str, str] | str]) -> Joined:
    match answer:
        case {"environment": dict(environment)}:
            return Joined(connection, environment)
        case _:
            connection.close()
            raise StartFailed(str(answer["error"]))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start_keeper(kind: str, run: Path) -> None:
    """Return when it listens."""
    with (run / f"{kind}.log").open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", "tests.servers", kind, str(run / f"{kind}.socket")],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
            start_new_session=True,
        )


def main(kind: str, path: str) -> None:
    Path(path).unlink(missing_ok=True)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as listener:
        listener.bind(path)
        listener.listen(64)
        if os.fork():  # whoever started us may go on: we listen
            os._exit(0)
        with tempfile.TemporaryDirectory(prefix="convergio-test-") as directory:
            Path(directory).chmod(0o755)
            _keep(kind, Path(directory), listener)


def _keep(kind: str, directory: Path, listener: socket.socket) -> None:
    server = _server(kind, directory)
    try:
        with run_server(server, directory / "log"):
            _serve(listener, {"environment": dict(server.environment)})
    except StartFailed as failure:
        _serve(listener, {"error": str(failure)})


def _server(kind: str, directory: Path) -> Server:
    ports = Ports()
    match kind:
        case "postgres":
            return PostgresServer(directory, ports.pick(), durable=False)
        case "temporal":
            return TemporalServer(
                directory,
                port=ports.pick(),
                http_port=ports.pick(),
                ui_port=None,
                search_attributes=SEARCH_ATTRIBUTES,
                heap_mib=TEMPORAL_HEAP_MIB,
            )
        case "valkey":
            return ValkeyServer(directory, ports.pick(), databases=VALKEY_DATABASES)
        case _:
            raise StartFailed(f"no server is called {kind}")


def _serve(listener: socket.socket, answer: dict[str, object]) -> None:
    """Tell everybody who connects, until everybody has gone."""
    clients: set[socket.socket] = set()
    with DefaultSelector() as selector:
        selector.register(listener, EVENT_READ)
        while True:
            ready = selector.select(None if clients else _START_TIMEOUT_S)
            for key, _ in ready:
                if key.fileobj is listener:
                    client = listener.accept()[0]
                    client.sendall(json.dumps(answer).encode() + b"\n")
                    selector.register(client, EVENT_READ)
                    clients.add(client)
                else:
                    gone = next(client for client in clients if client.fileno() == key.fd)
                    selector.unregister(gone)
                    clients.remove(gone)
                    gone.close()
            if not clients:
                return


if __name__ == "__main__":
    main(*sys.argv[1:])
