"""The output of `convergio backup` and `convergio restore`."""

from pathlib import Path

import typer

from runtime.backup.backup import make_backup
from runtime.backup.manifest import Manifest
from runtime.backup.restore import restore_backup
from runtime.backup.retention import make_kept_backup
from runtime.settings import Settings

_MIB = 2**20


def run_backup(settings: Settings, directory: Path, *, keep: int | None) -> None:
    """Make a backup and print its place, moment and size.

    Raises:
        BackupError: it cannot be made.
    """
    if keep is None:
        _print_backup(directory.absolute(), make_backup(settings, directory))
        return
    stored, removed = make_kept_backup(settings, directory.absolute(), keep=keep)
    _print_backup(stored.path, stored.manifest)
    for path in removed:
        typer.echo(f"removed {path}")


def _print_backup(path: Path, manifest: Manifest) -> None:
    size = sum(file.size for file in manifest.files.values())
    took = (manifest.ended_at - manifest.started_at).total_seconds()
    typer.echo(
        f"{path}: everything up to {manifest.moment:%Y-%m-%d %H:%M:%S} UTC, {manifest.head} events,"
        f" {size / _MIB:.1f} MiB, in {took:.1f} s"
    )
    if manifest.temporal.missing is not None:
        typer.echo(f"without work in progress: {manifest.temporal.missing}", err=True)
    if manifest.signing_key == "kept by the operator":
        typer.echo("without CONVERGIO_SIGNING_KEY: keep it apart, a restored system cannot sign without it", err=True)


def run_restore(settings: Settings, backup: Path, *, resume: bool) -> None:
    """Restore a backup and print what to do next.

    Raises:
        BackupError: it cannot be restored.
    """
    manifest = restore_backup(settings, backup.absolute(), resume=resume)
    place = "the database of DATABASE_URL" if settings.database_url is not None else str(settings.data_dir.absolute())
    typer.echo(f"{place} is as at {manifest.moment:%Y-%m-%d %H:%M:%S} UTC, {manifest.head} events.")
    if settings.database_url is not None:
        typer.echo("Next: convergio migrate, convergio reconcile. Workers and APIs do not start before that.")
    else:
        typer.echo("Next: convergio up, which reconciles it before anything runs, and names what was lost.")
