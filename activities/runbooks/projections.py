"""Steps of `rebuild-projection` and `retry-dead-letters`."""

from asyncio import to_thread
from collections.abc import Mapping

from activities.runbooks.steps import RunbookContext, StepHandler, StepResult
from domain.errors import Conflict, NotFound, Unavailable
from domain.runbooks.ports import ProjectionMaintenance, ProjectionProgress, ProjectionRebuild


class ProjectionSteps:
    """Rebuilds projections.

    Dead letters are retried by a rebuild and not one by one: events of other streams that came later have been folded
    meanwhile, and only the order of the ledger gives the rows that a rebuild would give.
    """

    def __init__(self, projections: ProjectionMaintenance) -> None:
        self._projections = projections

    def handlers(self) -> Mapping[tuple[str, str], StepHandler]:
        return {
            ("rebuild-projection", "inspect"): self.inspect,
            ("rebuild-projection", "rebuild"): self.rebuild,
            ("rebuild-projection", "verify"): self.inspect,
            ("retry-dead-letters", "find"): self.find,
            ("retry-dead-letters", "rebuild"): self.retry,
            ("retry-dead-letters", "report"): self.find,
        }

    async def inspect(self, context: RunbookContext) -> StepResult:
        """Read the position of the projection.

        Raises:
            NotFound: there is no such projection.
        """
        name = str(context.parameters["projection"])
        if name not in self._projections.names():
            raise NotFound(f"there is no projection {name}", projections=list(self._projections.names()))
        states = await to_thread(self._projections.states)
        return next((_to_state(state) for state in states if state.name == name), {"projection": name, "position": 0})

    async def rebuild(self, context: RunbookContext) -> StepResult:
        """Rebuild the projection; in a dry run, compare only."""
        return await self._rebuild(str(context.parameters["projection"]), swap=not context.dry_run)

    async def find(self, context: RunbookContext) -> StepResult:
        """Count the events that are set aside, by projection."""
        found = await self._with_dead_letters(context)
        return {
            "dead_letters": sum(state.dead_letters for state in found),
            "projections": [{"projection": state.name, "dead_letters": state.dead_letters} for state in found],
        }

    async def retry(self, context: RunbookContext) -> StepResult:
        """Rebuild each projection that has set events aside; in a dry run, tell how many would be set aside again."""
        found = await self._with_dead_letters(context)
        rebuilt = [await self._rebuild(state.name, swap=not context.dry_run) for state in found]
        return {"rebuilt": len(rebuilt), "set_aside_again": sum(each["set_aside"] for each in rebuilt)}

    async def _with_dead_letters(self, context: RunbookContext) -> list[ProjectionProgress]:
        wanted = context.parameters.get("projection")
        if wanted is not None and wanted not in self._projections.names():
            raise NotFound(f"there is no projection {wanted}", projections=list(self._projections.names()))
        states = await to_thread(self._projections.states)
        return [state for state in states if state.dead_letters and wanted in {None, state.name}]

    async def _rebuild(self, name: str, *, swap: bool) -> StepResult:
        try:
            rebuilt = await to_thread(self._projections.rebuild, name, swap=swap)
        except Conflict as busy:  # the connection of a killed worker may hold the lease a moment longer
            raise Unavailable(f"{name} is being rebuilt by another process", retry_after=2) from busy
        return _to_result(name, rebuilt, swapped=swap)


def _to_state(state: ProjectionProgress) -> StepResult:
    return {
        "projection": state.name,
        "position": state.position,
        "lag": state.head - state.position,
        "dead_letters": state.dead_letters,
    }


def _to_result(name: str, rebuilt: ProjectionRebuild, *, swapped: bool) -> StepResult:
    return {
        "projection": name,
        "swapped": swapped,
        "events": rebuilt.events,
        "position": rebuilt.position,
        "set_aside": rebuilt.set_aside,
        "tables": [
            {
                "table": table.table,
                "live_rows": table.live_rows,
                "rebuilt_rows": table.rebuilt_rows,
                "equal": table.equal,
            }
            for table in rebuilt.tables
        ],
    }
