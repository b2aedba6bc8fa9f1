"""Connections to PostgreSQL: few, checked, and quick to say that the database is away."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from domain.errors import Unavailable

CONNECT_TIMEOUT_S = 3
"""Seconds to wait for a connection, from the server or from the pool, before the database counts as away."""

_OPTIONS = "-c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=10s"


def connect(dsn: str) -> psycopg.Connection[Any]:
    """One autocommit connection of its own, for long work: no statement timeout.

    Raises:
        domain.errors.Unavailable: the database cannot be reached.
    """
    with translated():
        return psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S)


class Database:
    """A pool of autocommit connections shared by the threads of a process. Each statement is a transaction."""

    def __init__(self, dsn: str, *, size: int = 8) -> None:
        self.dsn = dsn
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            dsn,
            min_size=1,
            max_size=size,
            timeout=CONNECT_TIMEOUT_S,
            kwargs={
                "autocommit": True,
                "connect_timeout": CONNECT_TIMEOUT_S,
                "options": _OPTIONS,
                "prepare_threshold": 1,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
            },
            open=False,
        )

    def open(self) -> None:
        """Start connecting. Returns at once: a database that is away is met by the first statement."""
        self._pool.open(wait=False)

    def close(self) -> None:
        self._pool.close()

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection for one or a few statements.

        Raises:
            domain.errors.Unavailable: the database cannot be reached, or went away in between.
        """
        with translated(), self._pool.connection() as connection:
            yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Say `Unavailable` where psycopg says that the database is away or too busy."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
        raise Unavailable("the database cannot be reached", retry_after=2) from error
