"""Positions and rebuilds of projections, for runbooks."""

from collections.abc import Sequence

from adapters.postgres.ledger.pool import Database
from adapters.postgres.projections.rebuild import Rebuild
from domain.errors import NotFound
from domain.events import EventRegistry
from domain.projection import Projection
from domain.runbooks.ports import ProjectionProgress, ProjectionRebuild, RebuiltTable

_STATES = """
    SELECT projection, position, (SELECT coalesce(max(notification_id), 0) FROM ledger_events),
        (SELECT count(*) FROM projection_dead_letters AS d WHERE d.projection = p.projection), moved_at
    FROM projection_positions AS p ORDER BY projection
"""


class PostgresProjections:
    """`domain.runbooks.ports.ProjectionMaintenance` on PostgreSQL."""

    def __init__(self, database: Database, registry: EventRegistry, projections: Sequence[Projection]) -> None:
        self._database = database
        self._registry = registry
        self._projections = {projection.name: projection for projection in projections}

    def names(self) -> Sequence[str]:
        return sorted(self._projections)

    def states(self) -> list[ProjectionProgress]:
        with self._database.connection() as connection:
            return [ProjectionProgress(*row) for row in connection.execute(_STATES, prepare=True)]

    def rebuild(self, name: str, *, swap: bool) -> ProjectionRebuild:
        projection = self._projections.get(name)
        if projection is None:
            raise NotFound(f"there is no projection {name}")
        report = Rebuild(self._database.dsn, self._registry, projection).run(swap=swap)
        tables = tuple(
            RebuiltTable(each.table, each.live[0], each.rebuilt[0], each.equal) for each in report.comparisons
        )
        return ProjectionRebuild(report.events, report.position, report.set_aside, tables)
