"""What a backup is made of: the database, Temporal's store if it is on this machine, and the signing secret."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from runtime.backup.manifest import BackupError
from runtime.data_directory import running_in, signing_key_file
from runtime.embedded.programs import temporal_program
from runtime.embedded.temporal import store_file
from runtime.settings import Settings

NO_STORE = "Temporal runs elsewhere ({address}): its own store must be backed up with its own means"


@dataclass(frozen=True, slots=True)
class BackupSource:
    """The places that a backup reads. `store` is None, and `missing` says why, if Temporal is not embedded here."""

    database_url: str
    store: Path | None
    missing: str | None
    signing_key: Path | None


def find_source(settings: Settings) -> BackupSource:
    """Return the places of a running system.

    Raises:
        BackupError: no database is known.
    """
    if settings.database_url is None:
        raise BackupError("nothing runs here: start convergio up, or name the servers (DATABASE_URL)")
    run = running_in(settings.data_dir)
    children = run.children if run is not None else {}
    environment = run.environment if run is not None else {}
    is_here = "temporal" in children and environment.get("TEMPORAL_ADDRESS") == settings.temporal_address
    key = signing_key_file(settings.data_dir)
    return BackupSource(
        database_url=settings.database_url,
        store=store_file(settings.data_dir / "temporal") if is_here else None,
        missing=None if is_here else NO_STORE.format(address=settings.temporal_address or "unknown"),
        signing_key=key if "postgres" in children and key.exists() else None,
    )


def temporal_version() -> str:
    """Return the version of the embedded Temporal's program: its store is read by the same one only."""
    done = subprocess.run([str(temporal_program()), "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()
