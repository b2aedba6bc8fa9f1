"""The backups of a directory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.backup.manifest import BackupError, Manifest, read_manifest

_ANY = "convergio-*Z"


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A whole backup in a directory of backups."""

    path: Path
    manifest: Manifest


def list_backups(directory: Path) -> list[StoredBackup]:
    """Return the whole backups of a directory, oldest first. Interrupted and damaged ones do not count."""
    found = list(_readable(directory))
    return sorted(found, key=lambda backup: backup.manifest.moment)


def _readable(directory: Path) -> Iterator[StoredBackup]:
    for path in directory.glob(_ANY):
        try:
            yield StoredBackup(path, read_manifest(path))
        except BackupError:
            continue
