"""The process that keeps views up to date with the ledger, and their rebuild. It imports no client of other servers."""

import signal
from threading import Event as Flag

import typer
from rich.console import Console
from rich.table import Table

from adapters.postgres.projections.inline_rebuild import InlineRebuild
from adapters.postgres.projections.rebuild import Rebuild, RebuildReport
from adapters.postgres.projections.runner import ProjectionRunner
from domain.registry import event_registry
from runtime.event_loop import freeze_garbage_collector
from runtime.settings import Settings
from runtime.supervisor.readiness import announce_ready
from runtime.wiring.projections import inline_projections, projections


def run_projections(settings: Settings) -> None:
    """Run the process `convergio projections`."""
    stop = Flag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    runner = ProjectionRunner(settings.database_url or "", event_registry(), projections())
    freeze_garbage_collector()
    announce_ready(settings.ready_file)
    runner.run(stop)


def run_rebuild(settings: Settings, name: str | None, *, check: bool) -> None:
    """Run `convergio rebuild`: all projections, or the named one."""
    known = [*((Rebuild, p) for p in projections()), *((InlineRebuild, p) for p in inline_projections())]
    wanted = [(kind, projection) for kind, projection in known if name in {None, projection.name}]
    if not wanted:
        raise typer.BadParameter(f"no such projection; there are {', '.join(p.name for _, p in known)}")
    rebuilt = [kind(settings.database_url or "", event_registry(), p).run(swap=not check) for kind, p in wanted]
    _show(rebuilt)
    if check and not all(comparison.equal for one in rebuilt for comparison in one.comparisons):
        raise typer.Exit(1)


def _show(rebuilt: list[RebuildReport]) -> None:
    table = Table("projection", "events", "at position", "set aside", "table", "rows", "equal to live", box=None)
    for one in rebuilt:
        for comparison in one.comparisons:
            table.add_row(
                one.projection,
                str(one.events),
                str(one.position),
                str(one.set_aside),
                comparison.table,
                str(comparison.rebuilt[0]),
                "yes" if comparison.equal else "no",
            )
    Console(width=120).print(table)
