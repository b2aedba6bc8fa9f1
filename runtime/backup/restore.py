"""`convergio restore`: a data directory, or an empty database, as a backup has it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from adapters.postgres.ledger.pool import connect
from adapters.postgres.migrate import known_migrations
from adapters.postgres.recovery.restores import record_restore
from domain.errors import Unavailable
from domain.recovery.restores import Restore
from runtime.backup.database_dump import restore_database
from runtime.backup.manifest import (
    DATABASE,
    SIGNING_KEY,
    TEMPORAL,
    BackupError,
    Manifest,
    read_manifest,
    verify_files,
)
from runtime.backup.source import temporal_version
from runtime.data_directory import mark_restored, running_in, signing_key_file
from runtime.embedded import Ports, PostgresServer, StartFailed, run_server
from runtime.embedded.temporal import store_file
from runtime.settings import Settings

RESTORING = ".restoring"
"""The end of the name of a data directory that is being restored, or whose restoration was interrupted."""
_PRIVATE_DIRECTORY, _PRIVATE = 0o700, 0o600


def restore_backup(settings: Settings, backup: Path, *, resume: bool = False) -> Manifest:
    """Restore a backup into the data directory of the settings, or into the empty database that they name.

    Nothing is left running. The restored ledger says that it has to be reconciled, so that no worker starts before
    that. With `resume` the work in progress of the backup's moment is to go on, though it may pay a second time for
    what was done after that moment.

    Raises:
        BackupError: the backup is damaged or of another release, the system runs, or there is something in the place.
    """
    manifest = check_backup(backup)
    directory = settings.data_dir.absolute()
    has_store = TEMPORAL in manifest.files and settings.temporal_address is None
    restore = Restore(manifest.backup_id, manifest.moment, manifest.head, has_store, resume)
    try:
        if settings.database_url is not None and not has_store:
            _restore_into_empty(settings.database_url, backup, restore)
            return manifest
        _refuse_taken(directory)
        with _staging_directory(directory) as staging:
            _restore_files(backup, manifest, staging)
            if settings.database_url is not None:
                _restore_into_empty(settings.database_url, backup, restore)
            else:
                _restore_embedded(staging, backup, restore)
            mark_restored(staging)
            _move_into_place(staging, directory)
    except (OSError, psycopg.Error, Unavailable, StartFailed) as error:
        raise BackupError(f"{backup} was not restored: {error}") from error
    return manifest


def check_backup(backup: Path) -> Manifest:
    """Return the manifest of a backup that this release can restore.

    Raises:
        BackupError: it cannot: files are damaged, or a newer release or another Temporal has written them.
    """
    manifest = read_manifest(backup)
    if newer := sorted(set(manifest.migrations) - set(known_migrations())):
        raise BackupError(
            f"{backup} was made by release {manifest.release}, whose tables this one does not know ({', '.join(newer)})"
        )
    if manifest.temporal.missing is None and manifest.temporal.version != temporal_version():
        raise BackupError(
            f"{backup} has the store of {manifest.temporal.version}, and this release has {temporal_version()}: restore"
            " it with the release that made it"
        )
    verify_files(backup, manifest)
    return manifest


def _refuse_taken(directory: Path) -> None:
    if (run := running_in(directory)) is not None:
        raise BackupError(
            f"convergio runs in {directory} as process {run.supervisor.pid}: stop it, or name another --data-dir"
        )
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise BackupError(f"{directory} is not empty: move it away, or name another --data-dir")


@contextmanager
def _staging_directory(directory: Path) -> Iterator[Path]:
    """Make the directory to restore into, and remove it unless the block has renamed it."""
    staging = directory.with_name(directory.name + RESTORING)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(mode=_PRIVATE_DIRECTORY, parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _restore_files(backup: Path, manifest: Manifest, staging: Path) -> None:
    if TEMPORAL in manifest.files:  # one that runs elsewhere leaves this file alone
        _copy(backup / TEMPORAL, store_file(staging / "temporal"))
    if SIGNING_KEY in manifest.files:
        _copy(backup / SIGNING_KEY, signing_key_file(staging))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
    target.touch(mode=_PRIVATE)
    shutil.copyfile(source, target)


def _restore_embedded(staging: Path, backup: Path, restore: Restore) -> None:
    """Restore into a new cluster, with a password of its own."""
    (staging / "logs").mkdir(mode=_PRIVATE_DIRECTORY)
    ports = Ports()  # reserves the port for as long as it lives
    server = PostgresServer(staging / "postgres", ports.pick())
    with run_server(server, staging / "logs" / "postgres.log"):
        _restore_database(server.url, backup, restore, is_whole=False)


def _restore_into_empty(database_url: str, backup: Path, restore: Restore) -> None:
    with connect(database_url) as connection:
        found = connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone()
    if found is None or found[0]:
        raise BackupError("the database of DATABASE_URL is not empty: name an empty one")
    _restore_database(database_url, backup, restore, is_whole=True)


def _restore_database(database_url: str, backup: Path, restore: Restore, *, is_whole: bool) -> None:
    restore_database(database_url, backup / DATABASE, is_whole=is_whole)
    with connect(database_url) as connection:
        record_restore(connection, restore)
        connection.execute("ANALYZE")


def _move_into_place(staging: Path, directory: Path) -> None:
    """Give the restored directory its name, at once: a killed restoration leaves nothing that could be started."""
    try:
        staging.rename(directory)
    except OSError as error:
        raise BackupError(f"cannot rename {staging} to {directory}, which may be a mount point: {error}") from error
