"""Dump and restoration of a database by PostgreSQL's own programs."""

import os
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runtime.backup.manifest import BackupError
from runtime.embedded.programs import postgres_programs

_JOBS = 2


def dump_database(database_url: str, snapshot: str, target: Path) -> None:
    """Dump the database as this exported snapshot has it.

    Raises:
        BackupError: the dump failed; the message is the program's.
    """
    _run("pg_dump", database_url, f"--snapshot={snapshot}", "--format=custom", "--compress=1", f"--file={target}")


def restore_database(database_url: str, dump: Path, *, is_whole: bool) -> None:
    """Restore a dump into an empty database; with `is_whole` all or nothing of it.

    Raises:
        BackupError: it failed.
    """
    mode = "--single-transaction" if is_whole else f"--jobs={_JOBS}"
    _run("pg_restore", database_url, mode, "--exit-on-error", "--no-owner", "--no-privileges", str(dump))


def _run(program: str, database_url: str, *arguments: str) -> None:
    options = {name: str(value) for name, value in conninfo_to_dict(database_url).items() if value is not None}
    # The password goes through the environment: every user of the machine can read arguments.
    password = options.pop("password", None)
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}
    command = [str(postgres_programs() / program), f"--dbname={make_conninfo(**options)}", "--no-password", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  (ours)
    if done.returncode != 0:
        raise BackupError(f"{program} failed: {done.stderr.strip()}")
