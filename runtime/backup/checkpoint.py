"""One moment of both stores: snapshots of Temporal and of PostgreSQL, taken while no event can be appended."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from adapters.postgres.ledger.log import Connection
from adapters.postgres.ledger.pool import connect
from runtime.backup.manifest import BackupError

_APPEND_LOCK = 7152348  # of `ledger_append_group`
_LOCK_WITHIN = "10s"
_BUSY_MS = 10_000
_MOMENT = """
    SELECT pg_export_snapshot(), clock_timestamp(), current_setting('server_version'),
           coalesce((SELECT max(notification_id) FROM ledger_events), 0)
"""
_POSITIONS = "SELECT projection, position FROM projection_positions ORDER BY projection"
_MIGRATIONS = "SELECT name FROM schema_migrations ORDER BY name"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Both snapshots. `snapshot` names PostgreSQL's; `store` reads Temporal's, None if Temporal runs elsewhere."""

    snapshot: str
    moment: datetime
    postgres_version: str
    head: int
    projections: dict[str, int]
    migrations: tuple[str, ...]
    store: sqlite3.Connection | None


@contextmanager
def open_checkpoint(database_url: str, store: Path | None) -> Iterator[Checkpoint]:
    """Pin both stores for the block, at a moment at which a kill of everything could have happened as well.

    The order is part of that. Temporal must not know of anything that the database lacks: so it is pinned first, and
    the ledger's lock, held over both, keeps events out of the gap. It is held for milliseconds: copies are made later.

    Raises:
        BackupError: Temporal's store cannot be read.
        psycopg.Error: the database cannot be read.
        domain.errors.Unavailable: the database cannot be reached.
    """
    with connect(database_url) as reader, connect(database_url) as locker, _open_store(store) as opened:
        with locker.transaction():
            locker.execute(f"SET LOCAL lock_timeout = '{_LOCK_WITHIN}'")
            locker.execute("SELECT pg_advisory_xact_lock(%s)", (_APPEND_LOCK,))
            if opened is not None:
                _pin(opened)
            reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # The snapshot is taken by this statement: after the lock and after Temporal's.
            row = reader.execute(_MOMENT).fetchone()
        if row is None:
            raise BackupError("the database has exported no snapshot")
        yield _checkpoint(reader, row, opened)


def _checkpoint(
    reader: Connection, row: tuple[str, datetime, str, int], store: sqlite3.Connection | None
) -> Checkpoint:
    snapshot, moment, version, head = row
    return Checkpoint(
        snapshot=snapshot,
        moment=moment,
        postgres_version=version,
        head=head,
        projections=dict(reader.execute(_POSITIONS).fetchall()),
        migrations=tuple(name for (name,) in reader.execute(_MIGRATIONS)),
        store=store,
    )


@contextmanager
def _open_store(store: Path | None) -> Iterator[sqlite3.Connection | None]:
    if store is None:
        yield None
        return
    try:
        connection = sqlite3.connect(f"{store.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise BackupError(f"cannot read Temporal's store {store}: {error}") from error
    with closing(connection):
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        yield connection


def _pin(store: sqlite3.Connection) -> None:
    """Begin a read transaction: its first read fixes what the connection sees, and writers go on beside it."""
    try:
        store.execute("BEGIN")
        store.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"cannot read Temporal's store: {error}") from error


def copy_store(checkpoint: Checkpoint, target: Path) -> None:
    """Copy Temporal's pinned store to a new file, and check the copy.

    Raises:
        BackupError: it cannot be copied, or the copy is damaged.
    """
    if checkpoint.store is None:
        return
    try:
        # A backup uses the read transaction that its source is in, so the copy is of the pinned moment.
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            checkpoint.store.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            found = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"cannot copy Temporal's store: {error}") from error
    if found is None or found[0] != "ok":
        raise BackupError(f"the copy of Temporal's store is damaged: {found}")
