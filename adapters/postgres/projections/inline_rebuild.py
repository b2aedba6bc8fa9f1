"""Rebuilds a view that appends keep up to date themselves, so its position is the head of the ledger."""

from adapters.postgres.ledger.log import Connection
from adapters.postgres.projections import shadow_tables
from adapters.postgres.projections.rebuild import Rebuild

_HEAD = "SELECT coalesce(max(notification_id), 0) FROM ledger_events"
_LOCK_APPENDS = "SELECT pg_advisory_xact_lock(7152348)"


class InlineRebuild(Rebuild):
    """One rebuild of one such view. Appends wait for the swap, a short transaction.

    An event that cannot be folded ends it: the append would have been refused.
    """

    folds_in_tables = False

    def _register(self, connection: Connection) -> None:
        """Do nothing: it has no position of its own."""

    def _live_position(self, connection: Connection) -> int:
        row = connection.execute(_HEAD).fetchone()
        return row[0] if row else 0

    def _swap_once(self, connection: Connection, name: str) -> int:  # noqa: ARG002  (as the base class has it)
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '2s'")
            connection.execute(_LOCK_APPENDS)
            position = self._live_position(connection)
            self._fold.fold_to(connection, position)
            self._fold.write(connection)
            for kind in self._projection.kinds:
                shadow_tables.swap_in(connection, kind.TABLE)
        return position
