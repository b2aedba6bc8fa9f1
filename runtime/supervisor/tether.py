"""Become another program that dies with its parent. Run by path, with the standard library only.

`python tether.py PARENT SIGNAL USER PATH [ARGUMENT ...]`: USER is `-` (stay), `UID:GID` (become), or
`UID:GID:search` (become, but keep the right to pass through directories that only root may enter).
"""

import ctypes
import os
import sys

_SET_DEATH_SIGNAL, _SET_SECURE_BITS, _AMBIENT, _AMBIENT_RAISE = 1, 28, 47, 2
_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION = 0x20080522
_READ_SEARCH, _OVERRIDE = 2, 1


def main(arguments: list[str]) -> None:
    parent, signal, user, *command = arguments
    if user != "-":
        _become(*user.split(":"))
    if sys.platform == "linux":
        # After the change of user, which clears it.
        _prctl(_SET_DEATH_SIGNAL, int(signal))
        if os.getppid() != int(parent):  # the parent died before the death signal was set
            sys.exit(1)
    try:
        os.execv(command[0], command)  # noqa: S606  (no shell is wanted; importing may no longer be possible)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


def _become(uid: str, gid: str, keep: str = "") -> None:
    if keep:
        # Capabilities outlive the change of user, and access(2), which PostgreSQL asks, respects them.
        _prctl(_SET_SECURE_BITS, _NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))
    if keep and not any(_keep_only(capability) for capability in (_READ_SEARCH, _OVERRIDE)):
        sys.exit("this root may not pass on the right to search directories")


def _keep_only(capability: int) -> bool:
    """Acquire this one capability, and keep it over exec. Returns False if this root does not have it."""
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then their upper halves
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.capset(header, sets) == 0 and libc.prctl(_AMBIENT, _AMBIENT_RAISE, capability, 0, 0) == 0)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        sys.exit(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main(sys.argv[1:])
