"""The data directory of one `convergio up`: its lock, and the processes that run in it."""

import fcntl
import os
import signal
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from runtime.supervisor.process import ProcessIdentity

_RUN_FILE = "run.json"
_LOCK_FILE = "lock"
_RESTORED_FILE = "restored"
_SIGNING_KEY_FILE = "signing-key"
_SIGNING_KEY_BYTES = 32
_PRIVATE = 0o077
_GONE_WITHIN_S = 5.0


class AlreadyRunning(Exception):  # noqa: N818  (it says what happened)
    """Another `convergio up` has the directory."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The record of a supervisor: itself, its API's URL, its servers' settings, and its children."""

    supervisor: ProcessIdentity
    url: str
    environment: Mapping[str, str]
    children: Mapping[str, ProcessIdentity]


_RUN = TypeAdapter(RunRecord)


class DataDirectory:
    """A directory that this process owns during the block of `hold`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        mark = ProcessIdentity.of(os.getpid(), Path(sys.executable).name)
        self._run = RunRecord(mark or ProcessIdentity(os.getpid(), "", ""), "starting", {}, {})
        self._write()

    def announce(self, url: str, environment: Mapping[str, str]) -> None:
        self._run = replace(self._run, url=url, environment=environment)
        self._write()

    def record_child(self, name: str, mark: ProcessIdentity | None) -> None:
        """Record a child, so that the next start can end it if this one cannot."""
        if mark is not None:
            self._run = replace(self._run, children={**self._run.children, name: mark})
            self._write()

    def _write(self) -> None:
        new = self.directory / f"{_RUN_FILE}.new"
        new.touch(mode=0o600)
        new.write_bytes(_RUN.dump_json(self._run, indent=2))
        # atomic: a reader never sees half a file
        new.replace(self.directory / _RUN_FILE)


@contextmanager
def lock_directory(directory: Path) -> Iterator[DataDirectory]:
    """Lock the directory for this process, and end the processes that a killed run left in it.

    Raises:
        AlreadyRunning: another process has it.
    """
    _make_private(directory)
    with (directory / _LOCK_FILE).open("a") as lock:
        try:
            # the kernel releases it when the process dies, however it dies
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_refusal(directory)) from None
        _end_leftovers(_read(directory))
        held = DataDirectory(directory)
        yield held
        (directory / _RUN_FILE).unlink(missing_ok=True)


def _make_private(directory: Path) -> None:
    """Make the directory private: it contains passwords, all messages, and the servers' sockets.

    A directory with other contents is left as it is.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_ours = (directory / _LOCK_FILE).exists() or not any(directory.iterdir())
    if is_ours and directory.stat().st_mode & _PRIVATE:
        directory.chmod(0o700)


def signing_key_file(directory: Path) -> Path:
    """Return the file of the secret; there is none before the first start, nor for a database elsewhere."""
    return directory / _SIGNING_KEY_FILE


def signing_secret(directory: Path) -> str:
    """Return the CONVERGIO_SIGNING_KEY of a database in this directory; made with its first start, and private."""
    path = signing_key_file(directory)
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        new = directory / f"{_SIGNING_KEY_FILE}.new"
        new.unlink(missing_ok=True)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.touch(mode=0o600)
        new.write_text(b64encode(token_bytes(_SIGNING_KEY_BYTES)).decode())
        new.replace(path)  # whole or absent: half a key would make the database's keys useless
        return path.read_text()


def recorded_signing_secret(directory: Path, run: RunRecord) -> str | None:
    """Return the CONVERGIO_SIGNING_KEY of the database that runs in this directory; None if none does."""
    path = signing_key_file(directory)
    return path.read_text().strip() if "postgres" in run.children and path.exists() else None


def mark_restored(directory: Path) -> None:
    """Note that the directory was restored: the next start reconciles it first."""
    (directory / _RESTORED_FILE).touch(mode=0o600)


def is_restored(directory: Path) -> bool:
    """Return True if the directory was restored and not reconciled since."""
    return (directory / _RESTORED_FILE).exists()


def forget_restored(directory: Path) -> None:
    """Remove the note of a restoration that was reconciled."""
    (directory / _RESTORED_FILE).unlink(missing_ok=True)


def running_in(directory: Path) -> RunRecord | None:
    """Return the record of the processes that run in the directory now; None if none do."""
    run = _read(directory)
    return run if run is not None and run.supervisor.is_alive() else None


def _refusal(directory: Path) -> str:
    run = _read(directory)
    where = f" as process {run.supervisor.pid}, API at {run.url}" if run else ""
    return f"convergio already runs in {directory}{where}: stop it first, or choose another --data-dir"


def _read(directory: Path) -> RunRecord | None:
    try:
        return _RUN.validate_json((directory / _RUN_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _end_leftovers(run: RunRecord | None) -> None:
    """Wait for a dead supervisor's children, which die with it, and kill those that remain."""
    left = [mark for mark in (run.children.values() if run else ()) if mark.is_alive()]
    for mark in left:
        mark.kill(signal.SIGQUIT if mark.program.endswith("postgres") else signal.SIGKILL)
    deadline = time.monotonic() + _GONE_WITHIN_S
    while any(mark.is_alive() for mark in left) and time.monotonic() < deadline:
        time.sleep(0.02)
    for mark in left:
        mark.kill()
