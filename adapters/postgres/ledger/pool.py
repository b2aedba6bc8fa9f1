"""Connections to PostgreSQL: few, checked, and quick to say that the database is away."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from select import POLLIN, poll
from types import TracebackType
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from adapters.postgres.ledger.prepared import Statement, execute_prepared
from domain.errors import Unavailable

Connection = psycopg.Connection[Any]

CONNECT_TIMEOUT_S = 3
"""Seconds to wait for a connection, from the server or from the pool, before the database counts as away."""

_LOOK_S = 0.1  # between two looks of a thread that waits, whether an attempt to connect has failed
_SETTINGS = "-c TimeZone=UTC -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
_SHORT_WORK = f"{_SETTINGS} -c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=10s"
_KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def connect(dsn: str) -> Connection:
    """One autocommit connection of its own, for long work: no statement timeout. Its time zone is UTC.

    Raises:
        domain.errors.Unavailable: the database cannot be reached.
    """
    with translate_database_errors():
        return psycopg.connect(dsn, **_options(dsn, _SETTINGS))


def _options(dsn: str, options: str) -> dict[str, Any]:
    """The arguments of a connection: `options` of the server, and those that the DSN asks for."""
    asked_for = conninfo_to_dict(dsn).get("options")
    return {
        "autocommit": True,
        "connect_timeout": CONNECT_TIMEOUT_S,
        "options": f"{options} {asked_for}" if asked_for else options,
        "prepare_threshold": 1,
        **_KEEPALIVES,
    }


class PooledConnection(psycopg.Connection[Any]):
    """A connection of the pool, with the names of what it has prepared and a look at its socket."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.prepared: set[bytes] = set()
        self._socket = poll()
        self._socket.register(self.fileno(), POLLIN)

    def is_lost(self) -> bool:
        """Return true if the server has closed it: it has something to say while nothing was asked."""
        return bool(self._socket.poll(0))


class Database:
    """A pool of autocommit connections shared by the threads of a process. Each statement is a transaction.

    A connection is opened when a thread finds none idle, and at no other time, so a database that comes back is used
    at once.
    """

    def __init__(self, dsn: str, *, size: int = 8) -> None:
        self.dsn = dsn
        self._size = size
        self._pool: ConnectionPool[PooledConnection] | None = None
        self._failures = 0

    def open(self) -> None:
        """Allow connections. Nothing is tried: a database that is away is met by the first statement."""
        self._pool = ConnectionPool(
            self.dsn,
            connection_class=PooledConnection,
            kwargs=_options(self.dsn, _SHORT_WORK),
            min_size=0,
            max_size=self._size,
            open=True,
            check=self._refuse_lost,
            reconnect_timeout=0,  # else an attempt waits twice as long as the one before, up to minutes
            reconnect_failed=self._count_failure,
        )

    def close(self) -> None:
        """Close idle connections now, and lent ones as they come back."""
        if self._pool is not None:
            self._pool.close()

    def connection(self) -> "_Loan":
        """A connection for one or a few statements, as a context manager.

        Raises:
            domain.errors.Unavailable: the database cannot be reached, or went away in between.
        """
        return _Loan(self)

    def execute(self, statement: Statement, parameters: Sequence[bytes]) -> PGresult:
        """Run a prepared statement, parameters and result in PostgreSQL's binary form.

        Raises:
            domain.errors.Unavailable: the database cannot be reached, or went away in between.
            psycopg.Error: the statement failed.
        """
        connection = self.take()
        try:
            return execute_prepared(connection, connection.prepared, statement, parameters)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise _away() from error
        finally:
            self.give_back(connection)

    def pool_figures(self) -> tuple[int, int, int, int]:
        """Return the numbers of open connections, of connections at most, of idle ones, and of waiting threads."""
        if self._pool is None:
            return 0, self._size, 0, 0
        figures = self._pool.get_stats()
        idle, waiting = figures.get("pool_available", 0), figures.get("requests_waiting", 0)
        return figures.get("pool_size", 0), self._size, idle, waiting

    def take(self) -> PooledConnection:
        """Return an idle connection, or a new one. Give it back."""
        if self._pool is None:
            raise Unavailable("the connections to the database are closed", retry_after=2)
        failures, until = self._failures, time.monotonic() + CONNECT_TIMEOUT_S
        while True:
            try:
                return self._pool.getconn(timeout=_LOOK_S)
            except PoolClosed:
                raise Unavailable("the connections to the database are closed", retry_after=2) from None
            except PoolTimeout:
                if self._failures != failures:
                    raise _away() from None
                if time.monotonic() > until:
                    raise Unavailable("no connection to the database was free in time", retry_after=2) from None

    def give_back(self, connection: PooledConnection) -> None:
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:  # broken, or left in the middle of something
            connection.close()
        if self._pool is not None:
            self._pool.putconn(connection)

    def _refuse_lost(self, connection: PooledConnection) -> None:
        """Drop all idle connections when one of them is lost: after an outage they all are.

        The pool waits a second for the second lost one that it meets, and twice as long for each further one.
        """
        if connection.is_lost():
            if self._pool is not None:
                self._pool.drain()
            raise psycopg.OperationalError("the server has closed the connection")

    def _count_failure(self, _: Any) -> None:
        self._failures += 1


class _Loan:
    """`with` a connection. A class, because a generator costs more than many a statement."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Connection:
        self._connection = self._database.take()
        return self._connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.give_back(self._connection)
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            raise _away() from error


@contextmanager
def translate_database_errors() -> Iterator[None]:
    """Say `Unavailable` where psycopg says that the database is away or too busy."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise _away() from error


def _away() -> Unavailable:
    return Unavailable("the database cannot be reached", retry_after=2)
