"""Workers that were told to stop polling."""

from adapters.postgres.ledger.pool import Database
from domain.runbooks.ports import WorkerDrain

_REQUEST = "INSERT INTO worker_drains (worker, run_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_FIND = "SELECT worker, run_id, requested_at, drained_at FROM worker_drains WHERE worker = %s"
_DRAINED = "UPDATE worker_drains SET drained_at = now() WHERE worker = %s AND drained_at IS NULL"

_FORGET = "DELETE FROM worker_drains WHERE worker = %s"


class PostgresWorkerDrains:
    """`domain.runbooks.ports.WorkerDrains` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def request(self, worker: str, run_id: str) -> None:
        with self._database.connection() as connection:
            connection.execute(_REQUEST, (worker, run_id), prepare=True)

    def find(self, worker: str) -> WorkerDrain | None:
        with self._database.connection() as connection:
            row = connection.execute(_FIND, (worker,), prepare=True).fetchone()
        return WorkerDrain(*row) if row else None

    def forget(self, worker: str) -> None:
        with self._database.connection() as connection:
            connection.execute(_FORGET, (worker,), prepare=True)

    def mark_drained(self, worker: str) -> None:
        with self._database.connection() as connection:
            connection.execute(_DRAINED, (worker,), prepare=True)
