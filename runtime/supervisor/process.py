"""Child processes that die with their parent, and the identity of processes beyond their pids."""

import os
import shutil
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_ALWAYS = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"}
)
"""Variables that every child inherits. Any other one may be a secret."""
_LOCALE = "LC_"
_TETHER = str(Path(__file__).with_name("tether.py"))


@dataclass(frozen=True, slots=True)
class ProcessUser:
    """The user that a child runs as. With `search` it may still pass through directories that only root may enter."""

    uid: int
    gid: int
    search: bool = False

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}" + (":search" if self.search else "")


@dataclass(frozen=True, slots=True)
class ProcessCommand:
    """A program to run; `orphan_signal` is the signal it gets when its parent dies.

    Its environment is `environment`, the inherited variables that every program needs, and those that `passes` names
    (`PG*`: all with this prefix).
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    passes: frozenset[str] = frozenset()
    user: ProcessUser | None = None
    orphan_signal: signal.Signals = signal.SIGKILL

    def tethered_argv(self) -> list[str]:
        """Return the argument list that starts the program tied to this process.

        Start it from the main thread: Linux sends the signal when the starting *thread* ends.
        """
        user = "-" if self.user is None else str(self.user)
        launcher = [sys.executable, "-I", "-S", _TETHER, str(os.getpid()), str(int(self.orphan_signal)), user]
        return [*launcher, shutil.which(self.argv[0]) or self.argv[0], *self.argv[1:]]

    def full_environment(self) -> dict[str, str]:
        prefixes = (_LOCALE, *(name[:-1] for name in self.passes if name.endswith("*")))
        names = _ALWAYS | self.passes
        ours = {name: value for name, value in os.environ.items() if name in names or name.startswith(prefixes)}
        return {**ours, **self.environment}


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """The permanent identity of a process: its pid, its start time and its program."""

    pid: int
    began: str
    program: str

    @classmethod
    def of(cls, pid: int, program: str) -> "ProcessIdentity | None":
        """Return the identity of a living process; None when there is none (or no `/proc` to ask)."""
        began = _start_time(pid)
        return None if began is None else cls(pid, began, program)

    def is_alive(self) -> bool:
        """Return True if this very process still runs."""
        return _start_time(self.pid) == self.began and self.program in _command_line(self.pid)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.is_alive():
            os.kill(self.pid, number)


def _start_time(pid: int) -> str | None:
    """Return the boot id and clock ticks since boot at the start of `pid`. A zombie is not alive."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}/{ticks}"


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
