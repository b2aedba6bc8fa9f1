"""Connections to PostgreSQL: few, checked, and quick to say that the database is away."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from select import POLLIN, poll
from threading import BoundedSemaphore
from types import TracebackType
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from adapters.postgres.ledger.prepared import Statement, run
from domain.errors import Unavailable

Connection = psycopg.Connection[Any]

CONNECT_TIMEOUT_S = 3
"""Seconds to wait for a connection, from the server or from the pool, before the database counts as away."""

_MAX_AGE_S = 3600.0
_SETTINGS = "-c TimeZone=UTC -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"
_SHORT_WORK = f"{_SETTINGS} -c lock_timeout=5s -c statement_timeout=30s -c idle_in_transaction_session_timeout=10s"
_KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


def connect(dsn: str, *, options: str = _SETTINGS) -> Connection:
    """One autocommit connection of its own, for long work: no statement timeout. Its time zone is UTC.

    Raises:
        domain.errors.Unavailable: the database cannot be reached.
    """
    with translated():
        asked_for = conninfo_to_dict(dsn).get("options")
        return psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT_S,
            options=f"{options} {asked_for}" if asked_for else options,
            prepare_threshold=1,
            **_KEEPALIVES,
        )


@dataclass(slots=True)
class Lent:
    """A connection of the pool, the names of what it has prepared, and a look at its socket."""

    connection: Connection
    prepared: set[bytes] = field(default_factory=set)
    socket: poll = field(default_factory=poll)
    old_at: float = 0.0

    def __post_init__(self) -> None:
        self.socket.register(self.connection.fileno(), POLLIN)
        self.old_at = time.monotonic() + _MAX_AGE_S

    def usable(self) -> bool:
        """Whether it waits for a statement. One that has something to say while nothing was asked says farewell."""
        return (
            self.connection.pgconn.transaction_status == TransactionStatus.IDLE
            and time.monotonic() < self.old_at
            and not self.socket.poll(0)
        )


class Database:
    """A pool of autocommit connections shared by the threads of a process. Each statement is a transaction.

    The thread that finds no idle connection opens one, so a database that comes back is used at once.
    """

    def __init__(self, dsn: str, *, size: int = 8) -> None:
        self.dsn = dsn
        self._free = BoundedSemaphore(size)
        self._idle: deque[Lent] = deque()
        self._open = False

    def open(self) -> None:
        """Allow connections. Nothing is tried: a database that is away is met by the first statement."""
        self._open = True

    def close(self) -> None:
        """Close idle connections now, and lent ones as they come back."""
        self._open = False
        while self._idle:
            self._idle.pop().connection.close()

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
        lent = self.take()
        try:
            return run(lent.connection, lent.prepared, statement, parameters)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise _away() from error
        finally:
            self.give_back(lent)

    def take(self) -> Lent:
        """The connection that was used last, or a new one. Give it back."""
        if not self._free.acquire(timeout=CONNECT_TIMEOUT_S):
            raise Unavailable("all connections to the database are in use", retry_after=2)
        try:
            return self._idle_one() or Lent(self._new())
        except BaseException:
            self._free.release()
            raise

    def _idle_one(self) -> Lent | None:
        while self._idle:
            try:
                lent = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if lent.usable():
                return lent
            lent.connection.close()
        return None

    def _new(self) -> Connection:
        if not self._open:
            raise Unavailable("the connections to the database are closed", retry_after=2)
        return connect(self.dsn, options=_SHORT_WORK)

    def give_back(self, lent: Lent) -> None:
        if self._open and lent.connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._idle.append(lent)
        else:  # broken, or left in the middle of something
            lent.connection.close()
        self._free.release()


class _Loan:
    """`with` a connection. A class, because a generator costs more than many a statement."""

    __slots__ = ("_database", "_lent")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Connection:
        self._lent = self._database.take()
        return self._lent.connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.give_back(self._lent)
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            raise _away() from error


@contextmanager
def translated() -> Iterator[None]:
    """Say `Unavailable` where psycopg says that the database is away or too busy."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise _away() from error


def _away() -> Unavailable:
    return Unavailable("the database cannot be reached", retry_after=2)
