"""An unbroken twin of a system: a database that gets the same events as they come, and whose views nobody touches."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Event as Flag
from threading import Thread

import httpx
import psycopg
from psycopg.sql import SQL, Identifier

from adapters.postgres.projections.rows import digest
from adapters.postgres.projections.runner import ProjectionRunner
from domain.registry import event_registry
from runtime.processes.api import make_app
from runtime.wiring.parts import keys, make_parts
from runtime.wiring.projections import projections
from tests.system import TENANT_KEYS, System

_EVENTS = "originator_id, originator_version, topic, state, notification_id"
_READ = f"SELECT {_EVENTS} FROM ledger_events WHERE notification_id > %s ORDER BY notification_id LIMIT 1000"  # noqa: S608  (columns)
_WRITE = f"INSERT INTO ledger_events ({_EVENTS}) OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s)"  # noqa: S608  (the same)
# events of telemetry are in partitions: what is shown of them is in their rollups
_TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND NOT relispartition
"""
_OWN = {"ledger_events", "schema_migrations", "projection_positions", "projection_dead_letters"}
VIEWS = {kind.TABLE for projection in projections() for kind in projection.kinds}


@contextmanager
def following(origin: str, twin: str) -> Iterator[None]:
    """Copy events to the twin and fold them there, for the block and up to its end."""
    over = Flag()
    thread = Thread(target=_follow, args=(origin, twin, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _follow(origin: str, twin: str, over: Flag) -> None:
    runner, position = ProjectionRunner(twin, event_registry(), projections()), 0
    with psycopg.connect(origin, autocommit=True) as source, psycopg.connect(twin, autocommit=True) as target:
        while True:
            is_last = over.is_set()
            while events := source.execute(_READ, (position,)).fetchall():
                with target.transaction():
                    target.cursor().executemany(_WRITE, events)
                position = events[-1][4]
                runner.catch_up()
            if is_last:
                return
            over.wait(0.05)


def copy_the_rest(origin: str, twin: str) -> None:
    """Copy the tables that are no views: texts, secrets, keys of requests."""
    with psycopg.connect(origin) as source, psycopg.connect(twin) as target:
        for (table,) in source.execute(_TABLES).fetchall():
            if table in VIEWS | _OWN:
                continue
            name = Identifier(table)
            target.execute(SQL("TRUNCATE {}").format(name))
            with (
                source.cursor().copy(SQL("COPY {} TO STDOUT").format(name)) as read,
                target.cursor().copy(SQL("COPY {} FROM STDIN").format(name)) as written,
            ):
                for part in read:
                    written.write(part)


@asynccontextmanager
async def serving(system: System, twin: str) -> AsyncIterator[httpx.AsyncClient]:
    """The API on the twin. It is only read from."""
    settings = system.settings.model_copy(update={"database_url": twin})
    app = make_app(settings, make_parts(settings), system.temporal, known=keys(settings, TENANT_KEYS))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as http:
            yield http


def digests(url: str) -> dict[str, tuple[int, str]]:
    """The number of rows of each view, and a digest of their text in the order of their keys."""
    with psycopg.connect(url) as connection:
        kinds = [kind for projection in projections() for kind in projection.kinds]
        return {kind.TABLE: digest(connection, kind.TABLE, kind) for kind in kinds}


async def is_caught_up(system: System) -> bool:
    """Whether all views of the system have all events."""
    head = await asyncio.to_thread(system.parts.ledger.head)
    with psycopg.connect(system.settings.database_url or "") as connection:
        at = dict(connection.execute("SELECT projection, position FROM projection_positions").fetchall())
    return all(at.get(projection.name) == head for projection in projections())
