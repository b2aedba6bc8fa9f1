"""The verbs `backup`, `restore` and `reconcile`. Bodies are imported when they run, as all verbs' are."""

# ruff: noqa: PLC0415  (that is the reason)

from pathlib import Path
from typing import Annotated

import typer

from runtime.command_settings import leave, read_settings, read_settings_with_servers, refuse

DataDirectory = Annotated[Path | None, typer.Option("--data-dir", help="Where embedded servers keep their state.")]


def backup(
    directory: Annotated[Path, typer.Argument(help="A new directory; with --keep the one that holds the backups.")],
    data_dir: DataDirectory = None,
    *,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Name it by its time, and remove all but the newest of these.")
    ] = None,
) -> None:
    """Back up the running system: ledger, texts and work in progress, all of one moment."""
    settings = read_settings_with_servers("backup", "DATABASE_URL", data_dir=data_dir)
    from runtime.backup.command import run_backup
    from runtime.backup.manifest import BackupError

    try:
        run_backup(settings, directory, keep=keep)
    except BackupError as refusal:
        refuse(str(refusal), code=1)


def restore(
    directory: Annotated[Path, typer.Argument(help="A whole backup.")],
    data_dir: DataDirectory = None,
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Let work in progress go on, though it may be paid a second time.")
    ] = False,
) -> None:
    """Restore a backup into a new data directory. The next start reconciles it before anything runs."""
    settings = read_settings("restore", data_dir=data_dir)
    from runtime.backup.command import run_restore
    from runtime.backup.manifest import BackupError

    try:
        run_restore(settings, directory, resume=resume)
    except BackupError as refusal:
        refuse(str(refusal), code=1)


def reconcile(
    data_dir: DataDirectory = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare the ledger with Temporal, settle what one of them lost, and name it. Safe to repeat."""
    settings = read_settings_with_servers("reconcile", "DATABASE_URL", "TEMPORAL_ADDRESS", data_dir=data_dir)
    from runtime.backup.recovery import run_reconcile

    run_reconcile(settings, as_json=as_json)
    leave()
