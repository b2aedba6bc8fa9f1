"""The user that PostgreSQL runs as: it refuses to run as root, so root switches to another user."""

import os
import pwd
import subprocess
from pathlib import Path

from runtime.embedded.server import StartFailed
from runtime.supervisor.process import ProcessCommand, ProcessUser

_CANDIDATES = ("postgres", "nobody", "daemon")
_SEARCH_RIGHT = 0o1


def choose_user(owner: int | None, *, home: Path, programs: Path) -> ProcessUser | None:
    """Return the user to run as; None for the current one. `owner` is the uid that owns the data, if there is any.

    A directory above the data or the programs that only root may enter (a home directory, a clone in a private
    temporary directory) is passed with the right to search directories, so that everything can stay where it is.

    Raises:
        StartFailed: the current user is root and there is no other user.
    """
    if os.geteuid() != 0:
        return None
    entry = _entry(owner)
    closed = [path for path in (home, programs) if not _is_open_to(path.resolve(), entry)]
    user = ProcessUser(entry.pw_uid, entry.pw_gid, search=bool(closed))
    if closed and not (
        _succeeds_as(user, "test", "-e", str(home)) and _succeeds_as(user, str(programs / "pg_config"), "--bindir")
    ):
        raise StartFailed(
            f"PostgreSQL may not run as root, and its user {entry.pw_name} cannot reach {closed[0]}: choose another"
            " data directory (--data-dir), run as another user, or name a server with DATABASE_URL"
        )
    return user


def _entry(owner: int | None) -> pwd.struct_passwd:
    """Return a user with a name, which the programs of PostgreSQL require."""
    if owner:
        return pwd.getpwuid(owner)
    known = {entry.pw_name: entry for entry in pwd.getpwall() if entry.pw_uid != 0}
    for name in (*_CANDIDATES, *known):
        if name in known:
            return known[name]
    raise StartFailed("PostgreSQL may not run as root, and this machine has no other user: add one or set DATABASE_URL")


def _is_open_to(path: Path, entry: pwd.struct_passwd) -> bool:
    """Return True if the user may enter every directory above `path`."""
    return all(_may_enter(parent.stat(), entry) for parent in path.parents)


def _may_enter(status: os.stat_result, entry: pwd.struct_passwd) -> bool:
    shift = 6 if status.st_uid == entry.pw_uid else 3 if status.st_gid == entry.pw_gid else 0
    return bool(status.st_mode >> shift & _SEARCH_RIGHT)


def _succeeds_as(user: ProcessUser, *argv: str) -> bool:
    trial = ProcessCommand(argv, user=user)
    return subprocess.run(trial.tethered_argv(), check=False, capture_output=True).returncode == 0  # noqa: S603  (our own)
