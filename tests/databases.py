"""Databases of tests: copies of templates that are made once for all processes of a run."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Identifier

from adapters.postgres.migrate import migrate
from adapters.postgres.projections.runner import ProjectionRunner
from runtime.seeding import seed_ledger
from runtime.settings import Settings
from runtime.wiring.parts import make_parts
from runtime.wiring.projections import projections

_LOCK = 7350001


class Template(StrEnum):
    """What a database begins as: without a table, with our tables, or with agents and workflows in them and seen."""

    EMPTY = "template1"
    MIGRATED = "migrated"
    SEEDED = "seeded"


class Templates:
    """The templates on one server; `server` is the URL of a database that nobody migrates."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._there = {Template.EMPTY}

    @contextmanager
    def copy(self, template: Template) -> Iterator[str]:
        """URL of a copy, which is dropped at the end."""
        self._make(template)
        name = f"test_{uuid4().hex}"
        with self._connected() as connection:
            connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        try:
            yield self._url(name)
        finally:
            with self._connected() as connection:
                connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    def _make(self, template: Template) -> None:
        """Make what is missing under another name first: an interrupted run leaves nothing half made."""
        if template in self._there:
            return
        base = Template.MIGRATED if template is Template.SEEDED else Template.EMPTY
        self._make(base)
        with self._connected() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (template,)).fetchone():
                half = Identifier(f"half_{template}")
                connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(half, Identifier(base)))
                fill = _seed if template is Template.SEEDED else migrate
                fill(self._url(f"half_{template}"))
                connection.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(half, Identifier(template)))
        self._there.add(template)

    def _connected(self) -> psycopg.Connection:
        return psycopg.connect(self._server, autocommit=True)

    def _url(self, database: str) -> str:
        before, _, options = self._server.partition("?")
        return f"{before.rpartition('/')[0]}/{database}?{options}"


def _seed(url: str) -> None:
    settings = Settings(database_url=url)
    parts = make_parts(settings)
    parts.database.open()
    try:
        seed_ledger(settings, parts)
        ProjectionRunner(url, parts.registry, projections()).catch_up()
    finally:
        parts.database.close()
