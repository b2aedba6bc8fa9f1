"""Steps of `vacuum` and `clear-cache`."""

from asyncio import to_thread
from collections.abc import Mapping
from operator import attrgetter

from activities.runbooks.steps import RunbookContext, StepHandler, StepResult
from domain.errors import NotFound
from domain.runbooks.ports import CacheMaintenance, TableMaintenance, TableState

_MOST_SHOWN = 20


class StorageSteps:
    """Vacuums tables, and clears caches."""

    def __init__(self, tables: TableMaintenance, caches: CacheMaintenance) -> None:
        self._tables = tables
        self._caches = caches

    def handlers(self) -> Mapping[tuple[str, str], StepHandler]:
        return {
            ("vacuum", "inspect"): self.inspect_tables,
            ("vacuum", "vacuum"): self.vacuum,
            ("vacuum", "report"): self.inspect_tables,
            ("clear-cache", "count"): self.count,
            ("clear-cache", "clear"): self.clear,
        }

    async def inspect_tables(self, context: RunbookContext) -> StepResult:
        """Sum up the tables, and show those with most dead rows."""
        tables = await self._wanted_tables(context)
        largest = sorted(tables, key=attrgetter("dead_rows", "total_bytes"), reverse=True)[:_MOST_SHOWN]
        return {
            "tables": len(tables),
            "total_bytes": sum(table.total_bytes for table in tables),
            "dead_rows": sum(table.dead_rows for table in tables),
            "most_dead_rows": [
                {
                    "table": table.name,
                    "total_bytes": table.total_bytes,
                    "live_rows": table.live_rows,
                    "dead_rows": table.dead_rows,
                }
                for table in largest
            ],
        }

    async def vacuum(self, context: RunbookContext) -> StepResult:
        """Vacuum the tables, one after the other. Done twice it changes nothing more."""
        tables, analyze = await self._wanted_tables(context), bool(context.parameters.get("analyze"))
        if not context.dry_run:
            for table in tables:
                await to_thread(self._tables.vacuum, table.name, analyze=analyze)
        done = 0 if context.dry_run else len(tables)
        return {"tables": len(tables), "vacuumed": done, "analyzed": done if analyze else 0}

    async def count(self, context: RunbookContext) -> StepResult:
        """Count the keys below the prefix."""
        prefix = str(context.parameters["prefix"])
        return {"prefix": prefix, "keys": await self._caches.count(prefix)}

    async def clear(self, context: RunbookContext) -> StepResult:
        """Remove the keys below the prefix. After a crash `removed` counts those of the last attempt only."""
        prefix = str(context.parameters["prefix"])
        removed = 0 if context.dry_run else await self._caches.clear(prefix)
        return {"prefix": prefix, "removed": removed, "left": await self._caches.count(prefix)}

    async def _wanted_tables(self, context: RunbookContext) -> list[TableState]:
        """Return the tables that the run names, or all.

        Raises:
            NotFound: the platform has no such table.
        """
        known = {table.name: table for table in await to_thread(self._tables.tables)}
        names = list(dict.fromkeys(context.parameters.get("tables") or known))
        if unknown := sorted(set(names) - set(known)):
            raise NotFound(f"there is no table {unknown[0]}")
        return [known[name] for name in names]
