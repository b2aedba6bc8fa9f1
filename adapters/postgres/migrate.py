"""Makes the tables: numbered SQL files, each applied once, in one transaction, by one process at a time.

The files there are one baseline for each concept. From here on files are added, and none is ever edited.
"""

from pathlib import Path

from adapters.postgres.ledger.pool import connect
from domain.errors import Conflict

DIRECTORY = Path(__file__).parent / "migrations"
_LOCK = 7152347
_APPLIED = """
    CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())
"""


def known_migrations() -> list[str]:
    """Return the names of all migrations of this release, in order."""
    return sorted(path.name for path in DIRECTORY.glob("*.sql"))


def applied_migrations(dsn: str) -> list[str]:
    """Return the names of the migrations that the database has, in order; none for a new one."""
    with connect(dsn) as connection:
        there = connection.execute("SELECT to_regclass('schema_migrations')").fetchone()
        if not there or there[0] is None:
            return []
        return [row[0] for row in connection.execute("SELECT name FROM schema_migrations ORDER BY name")]


def migrate(dsn: str) -> list[str]:
    """Bring the database to this release's tables and return the names of what was applied.

    Raises:
        domain.errors.Unavailable: the database cannot be reached.
        domain.errors.Conflict: its tables come from files that this release does not have.
        psycopg.Error: a migration failed; nothing of it is kept.
    """
    done = []
    with connect(dsn) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        connection.execute(_APPLIED)
        present = {row[0] for row in connection.execute("SELECT name FROM schema_migrations")}
        _refuse_other(present)
        for name in known_migrations():
            if name in present:
                continue
            with connection.transaction():
                connection.execute((DIRECTORY / name).read_bytes())
                connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (name,))
            done.append(name)
    return done


def _refuse_other(present: set[str]) -> None:
    """A database with other files than ours that lacks some of ours is not an earlier state of this release's."""
    own = set(known_migrations())
    if (others := sorted(present - own)) and own - present:
        raise Conflict(f"the tables were made by another line of releases ({', '.join(others)}): use an empty database")
