"""`convergio backup`: a backup of the running system, whole or not there."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import psycopg

from domain.errors import Unavailable
from runtime.backup.checkpoint import Checkpoint, copy_store, open_checkpoint
from runtime.backup.database_dump import dump_database
from runtime.backup.manifest import (
    DATABASE,
    SIGNING_KEY,
    TEMPORAL,
    BackupError,
    Manifest,
    TemporalRecord,
    describe_file,
    write_manifest,
)
from runtime.backup.source import BackupSource, find_source, temporal_version
from runtime.settings import Settings

PARTIAL = ".partial"
"""The end of the name of a backup that is being made, or was interrupted."""
LOCK = "lock"
_PRIVATE_DIRECTORY, _PRIVATE = 0o700, 0o600


def make_backup(settings: Settings, directory: Path) -> Manifest:
    """Back up the system that runs on these settings to `directory`, which must not exist, or be empty.

    The files are written to a directory beside it, which gets its name when they are complete and on the disk. After a
    failure nothing is left; after a kill the directory beside it is, and the next backup of this name removes it.

    Raises:
        BackupError: it cannot be made.
    """
    target = directory.absolute()
    _refuse_taken(target)
    source = find_source(settings)
    with _partial(target) as partial:
        try:
            manifest = _write(source, partial)
            _make_durable(partial)
            (partial / LOCK).unlink()
            partial.rename(target)
        except (OSError, psycopg.Error, Unavailable) as error:
            raise BackupError(f"the backup to {target} failed: {error}") from error
    _sync(target.parent)
    return manifest


def _refuse_taken(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"{target} is not empty: a backup never overwrites anything")


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Make the directory to write to, and remove it unless the block has renamed it.

    Raises:
        BackupError: another process makes this backup now, or the directory cannot be made.
    """
    partial = target.with_name(target.name + PARTIAL)
    try:
        partial.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        with (partial / LOCK).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for leftover in partial.iterdir():
                if leftover.name != LOCK:
                    leftover.unlink()
            try:
                yield partial
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    except BlockingIOError as error:
        raise BackupError(f"another process is writing {partial}") from error
    except OSError as error:
        raise BackupError(f"cannot write {partial}: {error}") from error


def _write(source: BackupSource, partial: Path) -> Manifest:
    started_at = datetime.now(UTC)
    _make_files(partial, *([TEMPORAL] if source.store else []), DATABASE)
    with open_checkpoint(source.database_url, source.store) as checkpoint:
        copy_store(checkpoint, partial / TEMPORAL)
        dump_database(source.database_url, checkpoint.snapshot, partial / DATABASE)
    if source.signing_key is not None:
        _make_files(partial, SIGNING_KEY)
        (partial / SIGNING_KEY).write_bytes(source.signing_key.read_bytes())
    manifest = _describe(source, checkpoint, partial, started_at)
    write_manifest(partial, manifest)
    return manifest


def _describe(source: BackupSource, checkpoint: Checkpoint, partial: Path, started_at: datetime) -> Manifest:
    files = sorted(path for path in partial.iterdir() if path.name != LOCK)
    return Manifest(
        backup_id=uuid4().hex,
        release=version("convergio"),
        started_at=started_at,
        moment=checkpoint.moment,
        ended_at=datetime.now(UTC),
        head=checkpoint.head,
        projections=checkpoint.projections,
        migrations=checkpoint.migrations,
        postgres_version=checkpoint.postgres_version,
        temporal=TemporalRecord(
            version=temporal_version() if source.store is not None else None, missing=source.missing
        ),
        signing_key="in the backup" if source.signing_key is not None else "kept by the operator",
        files={path.name: describe_file(path) for path in files},
    )


def _make_files(directory: Path, *names: str) -> None:
    """Create empty private files, for programs that would create them by their own rules."""
    for name in names:
        (directory / name).touch(mode=_PRIVATE)


def _make_durable(directory: Path) -> None:
    for path in directory.iterdir():
        _sync(path)
    _sync(directory)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
