"""Runs a program, and kills it with all its children when the parent process dies.

Run by path, with the standard library only: `python process_guard.py PARENT PROGRAM [ARGUMENT ...]`. It leads a process
group of its own, which is what is killed: programs such as `npx` start the server as a child, and one that ignores the
end of its standard input would outlive the parent.
"""

import ctypes
import os
import signal
import subprocess
import sys

_SET_DEATH_SIGNAL = 1
_POLL_INTERVAL_S = 1.0
_NOT_FOUND = 127


def main(arguments: list[str]) -> int:
    """Return the program's exit status, as a shell would."""
    parent, *command = arguments

    def end_if_orphaned(*_: object) -> None:
        if os.getppid() != int(parent):
            os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end_if_orphaned)
    signal.signal(signal.SIGTERM, _ignore_termination)
    _watch_parent()
    end_if_orphaned()  # the parent may have died before it was watched
    try:
        program = subprocess.Popen(command)  # noqa: S603  (the operator's own configuration)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201  (there is no logger here)
        return _NOT_FOUND
    _release_pipes()
    status = program.wait()
    return status if status >= 0 else 128 - status


def _watch_parent() -> None:
    """Request SIGALRM when the parent dies; where the system does not support that, poll every second."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, int(signal.SIGALRM), 0, 0, 0)
    else:
        signal.setitimer(signal.ITIMER_REAL, _POLL_INTERVAL_S, _POLL_INTERVAL_S)


def _ignore_termination(*_: object) -> None:
    """Ignore SIGTERM: the whole group receives it, and the program decides when to end."""


def _release_pipes() -> None:
    """Leave the pipes to the program alone, so that its peer sees when the program closes them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
