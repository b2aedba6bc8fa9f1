"""The manifest of a backup: its moment, its versions, and the checksum of each file."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

FORMAT: Literal[1] = 1
MANIFEST = "manifest.json"
CHECKSUM = "manifest.sha256"
DATABASE = "postgres.dump"
TEMPORAL = "temporal.db"
SIGNING_KEY = "signing-key"
_CHUNK = 1 << 20
_PRIVATE = 0o600


class BackupError(Exception):
    """A backup cannot be made, or is not one that can be restored here."""


class BackupFile(BaseModel):
    """A file of a backup."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str


class TemporalRecord(BaseModel):
    """The part of Temporal: `version` is its server's. `missing` says why its store is not in the backup."""

    model_config = ConfigDict(frozen=True)

    version: str | None = None
    missing: str | None = None


class Manifest(BaseModel):
    """A whole backup. `moment` is the one that both stores are of; `head` is the ledger's last position then."""

    model_config = ConfigDict(frozen=True)

    format: Literal[1] = FORMAT
    backup_id: str
    release: str
    started_at: datetime
    moment: datetime
    ended_at: datetime
    head: int
    projections: Mapping[str, int]
    migrations: tuple[str, ...]
    postgres_version: str
    temporal: TemporalRecord
    signing_key: Literal["in the backup", "kept by the operator"]
    files: Mapping[str, BackupFile]


def describe_file(path: Path) -> BackupFile:
    """Return a file's size and checksum."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return BackupFile(size=path.stat().st_size, sha256=digest.hexdigest())


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest and its checksum."""
    text = manifest.model_dump_json(indent=2).encode()
    for name, content in ((MANIFEST, text), (CHECKSUM, hashlib.sha256(text).hexdigest().encode())):
        (directory / name).touch(mode=_PRIVATE)
        (directory / name).write_bytes(content)


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a whole backup.

    Raises:
        BackupError: there is none, it was changed, or another release made it in a form that this one cannot read.
    """
    try:
        text, checksum = (directory / MANIFEST).read_bytes(), (directory / CHECKSUM).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"{directory} is not a whole backup: {error}") from error
    if hashlib.sha256(text).hexdigest() != checksum:
        raise BackupError(f"{directory / MANIFEST} is damaged: its checksum is another one")
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise BackupError(f"{directory} is of a form that this release cannot read: {error}") from error


def verify_files(directory: Path, manifest: Manifest) -> None:
    """Return if every file is as it was when the backup was made.

    Raises:
        BackupError: one is missing or damaged.
    """
    for name, expected in manifest.files.items():
        try:
            found = describe_file(directory / name)
        except OSError as error:
            raise BackupError(f"{directory / name} cannot be read: {error}") from error
        if found != expected:
            raise BackupError(f"{directory / name} is damaged: it is not what was backed up")
