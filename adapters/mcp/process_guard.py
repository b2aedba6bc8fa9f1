"""Run a program, and kill it with everything that it has started when our own parent dies.

Run by path, with the standard library only: `python mcp_guard.py PARENT PROGRAM [ARGUMENT ...]`. It leads a process
group of its own, which is what is killed: programs such as `npx` start the server as a child of theirs, and one that
ignores the end of its standard input would outlive us all.
"""

import ctypes
import os
import signal
import subprocess
import sys

_SET_DEATH_SIGNAL = 1
_LOOK_EVERY_S = 1.0
_NOT_FOUND = 127


def main(arguments: list[str]) -> int:
    """The program's exit status, as a shell would tell it."""
    parent, *command = arguments

    def end_if_orphaned(*_: object) -> None:
        if os.getppid() != int(parent):
            os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGALRM, end_if_orphaned)
    signal.signal(signal.SIGTERM, _wait_for_the_program)
    _watch()
    end_if_orphaned()  # it may have died before it was watched
    try:
        program = subprocess.Popen(command)  # noqa: S603  (the operator's own configuration)
    except OSError as error:
        print(f"cannot run {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201  (there is no logger here)
        return _NOT_FOUND
    _release_pipes()
    status = program.wait()
    return status if status >= 0 else 128 - status


def _watch() -> None:
    """Have SIGALRM sent when the parent dies; where the system cannot, look every second."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, int(signal.SIGALRM), 0, 0, 0)
    else:
        signal.setitimer(signal.ITIMER_REAL, _LOOK_EVERY_S, _LOOK_EVERY_S)


def _wait_for_the_program(*_: object) -> None:
    """The whole group was asked to end, so the program was too: it says when it is done."""


def _release_pipes() -> None:
    """The pipes are the program's alone: the other side sees it when the program closes them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
