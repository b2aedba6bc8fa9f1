"""`convergio reconcile`: the ledger and Temporal are compared, after a restoration before anything runs on them."""

import asyncio
import time
from collections import Counter
from dataclasses import asdict

import orjson
import structlog
import typer
from rich.console import Console
from rich.table import Table

from adapters.postgres.ledger.pool import Database
from adapters.postgres.projections.runner import ProjectionRunner
from adapters.postgres.recovery.restores import PostgresRestores
from domain.errors import Conflict
from domain.recovery.report import SettledItem
from domain.recovery.restores import Restore
from runtime import temporal
from runtime.settings import Settings
from runtime.wiring.parts import Parts, make_parts
from runtime.wiring.projections import projections
from runtime.wiring.recovery import make_comparison, make_settlement

_WIDTH = 160


def refuse_unreconciled(database: Database) -> None:
    """Return if workers and APIs may start on this database.

    Raises:
        Conflict: it was restored from a backup and not reconciled since.
        domain.errors.Unavailable: the database cannot be reached.
    """
    restore = PostgresRestores(database).newest_pending()
    if restore is not None:
        raise Conflict(
            f"this database was restored from the backup of {restore.moment:%Y-%m-%d %H:%M:%S} UTC and not reconciled"
            " since: run convergio reconcile first"
        )


def run_reconcile(settings: Settings, *, as_json: bool) -> None:
    """Run `convergio reconcile`, and print each thing that was settled."""
    items = asyncio.run(reconcile(settings))
    if as_json:
        typer.echo(orjson.dumps([asdict(item) for item in items], option=orjson.OPT_INDENT_2))
    else:
        _show(items)


async def reconcile(settings: Settings) -> list[SettledItem]:
    """Settle a restoration if there is one, else what a running system has lost. Returns what was settled."""
    parts = make_parts(settings)
    parts.database.open()
    try:
        await asyncio.to_thread(parts.signatures.prepare)
        return await _reconcile(settings, parts)
    finally:
        await parts.toolbox.aclose()
        await parts.model.aclose()
        await parts.live.aclose()
        parts.database.close()


async def _reconcile(settings: Settings, parts: Parts) -> list[SettledItem]:
    client = await temporal.connect(settings)
    restores = PostgresRestores(parts.database)
    restore = await asyncio.to_thread(restores.newest_pending)
    if restore is None:
        return await make_comparison(settings, parts, client).settle()
    began = time.monotonic()
    runner = ProjectionRunner(settings.database_url or "", parts.registry, projections())
    await asyncio.to_thread(runner.catch_up)  # the settlement reads the views
    items = [] if _may_resume(restore) else await make_settlement(settings, parts, client).settle(restore)
    await asyncio.to_thread(runner.catch_up)
    await asyncio.to_thread(restores.mark_reconciled, items)
    structlog.get_logger("reconcile").info(
        "restored system reconciled",
        moment=restore.moment.isoformat(),
        resumed=_may_resume(restore),
        took_s=round(time.monotonic() - began, 1),
        **Counter(f"{item.kind}s {item.outcome}" for item in items),
    )
    return items


def _may_resume(restore: Restore) -> bool:
    """Return True if everything goes on as after a crash: both stores are of one moment, and that was asked for."""
    return restore.resume and restore.with_temporal


def _show(items: list[SettledItem]) -> None:
    console = Console(width=_WIDTH)
    if not items:
        console.print("Nothing to settle.")
        return
    table = Table("kind", "id", "outcome", "reason", box=None)
    for item in items:
        table.add_row(item.kind, item.id, item.outcome, item.reason)
    console.print(table)
