"""PostgreSQL with pgvector: the ledger and its views."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from runtime.embedded.postgres_user import choose_user
from runtime.embedded.programs import postgres_programs
from runtime.embedded.server import StartFailed
from runtime.supervisor.process import ProcessCommand, ProcessIdentity, ProcessUser

_NAME = "convergio"  # of the role and of the database
_SOCKET_PATH_LIMIT = 107
_PID_FILE = "postmaster.pid"
_STATUS_LINE = 7
_INIT_TIMEOUT_S = 120
_SETTINGS: Mapping[str, object] = {
    "max_connections": 200,
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "128MB",
    "random_page_cost": 1.1,
    "jit": "off",
    "wal_level": "replica",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}
_NOT_DURABLE: Mapping[str, object] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresServer:
    """`postgres` in the foreground, on a Unix socket below `directory` and, with a password, on loopback."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": connections are closed, a checkpoint is made

    def __init__(self, directory: Path, port: int, *, durable: bool = True) -> None:
        """Configure the server; `durable=False` is for test servers, whose data may be lost."""
        self._home = directory.absolute()
        self._data = self._home / "data"
        self._sockets = self._home / "socket"
        self._password_file = self._home / "password"
        self._port = port
        self._durable = durable

    @property
    def url(self) -> str:
        """The URL, by the Unix socket if its path is short enough."""
        if not self._has_socket:
            return self.tcp_url
        return f"postgresql://{_NAME}@/{_NAME}?host={quote(str(self._sockets))}&port={self._port}"

    @property
    def tcp_url(self) -> str:
        """The URL for tools; it contains the password, so it is known only after `prepare`."""
        return f"postgresql://{_NAME}:{self._password_file.read_text()}@127.0.0.1:{self._port}/{_NAME}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"DATABASE_URL": self.url}

    @property
    def display_urls(self) -> Mapping[str, str]:
        return {"PostgreSQL": self.url if self._has_socket else f"postgresql://{_NAME}@127.0.0.1:{self._port}/{_NAME}"}

    @property
    def _has_socket(self) -> bool:
        return len(str(self._sockets / f".s.PGSQL.{self._port}.lock")) <= _SOCKET_PATH_LIMIT

    def prepare(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        user = self._user()
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        _give([self._home, self._sockets], user)
        if not self._data.exists():
            self._initialise(user)
        self._replace_dead_pid()

    def command(self) -> ProcessCommand:
        settings = {
            **_SETTINGS,
            **({} if self._durable else _NOT_DURABLE),
            "listen_addresses": "127.0.0.1",
            "port": self._port,
            "unix_socket_directories": self._sockets if self._has_socket else "",
        }
        flags = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        # As an orphan it shuts down at once; the next start recovers from its log.
        argv = (str(postgres_programs() / "postgres"), "-D", str(self._data), *flags)
        return ProcessCommand(argv, user=self._user(), orphan_signal=signal.SIGQUIT)

    def is_ready(self, pid: int) -> bool:
        lines = self._pid_file_lines()
        return len(lines) > _STATUS_LINE and lines[0] == str(pid) and lines[_STATUS_LINE].strip() == "ready"

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._data / _PID_FILE).read_text().splitlines()
        except FileNotFoundError:
            return []

    def _user(self) -> ProcessUser | None:
        owner = self._data.stat().st_uid if self._data.exists() else None
        return choose_user(owner, home=self._home, programs=postgres_programs())

    def _initialise(self, user: ProcessUser | None) -> None:
        """Create the cluster and its database in a temporary place, so that a killed start leaves no half of it."""
        new = self._home / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        self._password_file.write_text(secrets.token_urlsafe(24))
        self._password_file.chmod(0o600)
        _give([self._password_file], user)
        init = [str(postgres_programs() / "initdb"), "-D", str(new), "-U", _NAME, "--pwfile", str(self._password_file)]
        init += ["--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8"]
        init += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]  # the same on every machine
        _run([*init, *([] if self._durable else ["--no-sync"])], user)
        _run(
            [str(postgres_programs() / "postgres"), "--single", "-D", str(new), "postgres"],
            user,
            f"CREATE DATABASE {_NAME}\n",
        )
        # atomic: the data directory exists only once it is complete
        new.rename(self._data)

    def _replace_dead_pid(self) -> None:
        """Replace a killed server's pid if another process has it by now: PostgreSQL would take that for a server.

        The file must stay, for it also leads to shared memory by which orphans of the killed server are noticed. So it
        gets this process's pid: PostgreSQL knows that its parent is no server.
        """
        lines = self._pid_file_lines()
        mark = ProcessIdentity.of(int(lines[0]), "postgres") if lines else None
        if mark is not None and mark.is_alive():
            return  # PostgreSQL reports that itself, and better
        if lines:
            (self._data / _PID_FILE).write_text("\n".join([str(os.getpid()), *lines[1:], ""]))
        for leftover in self._sockets.iterdir():
            leftover.unlink()


def _give(paths: list[Path], user: ProcessUser | None) -> None:
    if user is not None:
        for path in paths:
            os.chown(path, user.uid, user.gid)


def _run(argv: list[str], user: ProcessUser | None, text: str = "") -> None:
    command = ProcessCommand(tuple(argv), user=user)
    done = subprocess.run(  # noqa: S603  (our own programs)
        command.tethered_argv(), input=text, capture_output=True, text=True, timeout=_INIT_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise StartFailed(f"{Path(argv[0]).name} failed:\n{done.stdout}{done.stderr}".rstrip())
