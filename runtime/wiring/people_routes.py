"""Composes the routes of talents, clients and projects."""

from fastapi import APIRouter

from adapters.postgres.integer_ids import PostgresIntegerIds, PostgresTenantSecrets
from adapters.postgres.talents import PostgresTalents
from api.http.dependencies import Positions
from api.talents import routes as talents
from api.talents import table_routes as talent_tables
from api.talents.service import TalentService
from domain.talents.bulk_import import TalentImport
from domain.talents.commands import TalentCommands
from domain.talents.past import TalentPast
from runtime.wiring.parts import Parts, now

CSV_BODIES = frozenset({talent_tables.IMPORT_PATH})
LARGER_BODIES = {talent_tables.IMPORT_PATH: talent_tables.MAX_TABLE}


def make_talent_commands(parts: Parts) -> TalentCommands:
    """Return the commands on talents, among them the one that erases."""
    ids, secrets = PostgresIntegerIds(parts.database), PostgresTenantSecrets(parts.database)
    return TalentCommands(parts.ledger, parts.content, ids, secrets, parts.content)


def people_routers(parts: Parts, live: Positions) -> tuple[APIRouter, ...]:
    """Return the routers of talents, clients and projects."""
    ids, secrets = PostgresIntegerIds(parts.database), PostgresTenantSecrets(parts.database)
    desk = TalentService(
        make_talent_commands(parts),
        TalentImport(parts.ledger, ids, secrets),
        TalentPast(parts.ledger, parts.content),
        PostgresTalents(parts.database),
        live,
        now,
    )
    return talents.router(desk), talent_tables.router(desk)
