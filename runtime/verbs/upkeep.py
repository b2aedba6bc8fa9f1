"""Migrations."""

import asyncio

import structlog

from adapters.postgres.migrate import migrate
from runtime import temporal
from runtime.seeding import seed_ledger
from runtime.settings import Settings
from runtime.wiring.parts import make_parts


def run_migrations(settings: Settings) -> None:
    """Run `convergio migrate`: tables, agents, workflows, risk policy, search attributes, retention, schedules.

    Safe to repeat.
    """
    log = structlog.get_logger("migrate")
    applied = migrate(settings.database_url or "")
    parts = make_parts(settings, connections=1)
    parts.database.open()
    try:
        # after the migration: it appends to the ledger's tables
        seeded = seed_ledger(settings, parts)
    finally:
        parts.database.close()
    asyncio.run(_register(settings))
    log.info(
        "migrated",
        tables=applied or "up to date",
        agents=len(seeded.agents) or "up to date",
        workflows=len(seeded.workflows) or "up to date",
        risk_policy=seeded.risk_policy or "up to date",
    )


async def _register(settings: Settings) -> None:
    await temporal.register(await temporal.connect(settings))
