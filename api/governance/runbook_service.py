"""Runbook service: checks the parameters, records the request, and starts the workflow."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from api.http.dependencies import Positions
from domain.errors import Invalid, NotFound, Unavailable
from domain.events import Cause
from domain.runbooks import aggregate
from domain.runbooks.aggregate import RunbookRunRecord
from domain.runbooks.catalogue import find_runbook
from domain.runbooks.commands import RunbookCommands
from domain.runbooks.ports import (
    ProjectionMaintenance,
    RunbookFilter,
    RunbookPage,
    RunbookReads,
    RunbookRunView,
    TableMaintenance,
    VacuumProgress,
)
from domain.runbooks.projection import RunbooksProjection
from workflows.runbooks.client import RunbookClient


class RunbookService:
    """The runs of runbooks of this deployment."""

    def __init__(
        self,
        commands: RunbookCommands,
        client: RunbookClient,
        reads: RunbookReads,
        *,
        projections: ProjectionMaintenance,
        tables: TableMaintenance,
        positions: Positions,
    ) -> None:
        self._commands = commands
        self._client = client
        self._reads = reads
        self._projections = projections
        self._tables = tables
        self._positions = positions

    async def request(
        self, runbook_id: str, given: Mapping[str, Any], cause: Cause, *, dry_run: bool, key: str | None
    ) -> RunbookRunRecord:
        """Record the request and start its workflow; one that cannot be started now is started within a minute.

        Raises:
            NotFound: there is no such runbook.
            Invalid: a parameter is unknown or missing, or names what there is not.
            Unavailable: the ledger cannot be reached; nothing was accepted.
        """
        parameters = await self.check(runbook_id, given)
        run_id = aggregate.run_id_of(cause.tenant_id, key)
        run = await asyncio.to_thread(
            lambda: self._commands.request(run_id, runbook_id, parameters, cause, dry_run=dry_run)
        )
        if run.ended is None:
            with suppress(Unavailable):  # the request is recorded, and reconciled each minute
                await self._client.start(run_id)
        await self._positions.wait(RunbooksProjection.name)
        return run

    async def find(self, tenant_id: str, key: str) -> str:
        """Return the id of the run that was requested under a key.

        Raises:
            NotFound: there is none.
        """
        run_id = aggregate.run_id_of(tenant_id, key)
        return (await asyncio.to_thread(self._commands.load, run_id)).asked.run_id

    async def is_over(self, run_id: str) -> bool:
        """Return whether a run has ended, however it did."""
        return (await asyncio.to_thread(self._commands.load, run_id)).ended is not None

    async def check(self, runbook_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a run with their defaults.

        Raises:
            NotFound: there is no such runbook.
            Invalid: a parameter is unknown or missing, or names what there is not.
        """
        parameters = find_runbook(runbook_id).validate(given)
        projection = parameters.get("projection")
        if projection is not None and projection not in self._projections.names():
            raise _unknown("projection", f"there is no projection {projection}", self._projections.names)
        if parameters.get("tables"):
            known = {table.name for table in await asyncio.to_thread(self._tables.tables)}
            if unknown := sorted(set(parameters["tables"]) - known):
                raise _unknown("tables", f"there is no table {unknown[0]}", lambda: sorted(known))
        return parameters

    def page(self, wanted: RunbookFilter, *, skip: int, limit: int) -> RunbookPage:
        return self._reads.page(wanted, skip=skip, limit=limit)

    def get(self, tenant_id: str, run_id: str) -> RunbookRunView:
        """Return a run of a tenant.

        Raises:
            NotFound: there is none.
        """
        found = self._reads.get(tenant_id, run_id)
        if found is None:
            raise NotFound("there is no such run of a runbook")
        return found

    def progress(self, run: RunbookRunView) -> list[VacuumProgress]:
        """Return the vacuums under way, while the run is one."""
        is_vacuum = run.row.runbook_id == "vacuum" and run.row.ended_at is None
        return self._tables.progress() if is_vacuum else []


def _unknown(name: str, reason: str, known: Callable[[], Any]) -> Invalid:
    field = f"parameters.{name}"
    return Invalid(f"{field}: {reason}", field=field, reason=reason, known=list(known()))
