"""Composes the routes of talents, clients and projects, and the commands that erase their texts."""

from fastapi import APIRouter

from adapters.postgres.records.clients import PostgresClients
from adapters.postgres.records.integer_ids import PostgresIntegerIds, PostgresTenantSecrets
from adapters.postgres.records.project_usage import PostgresProjectUsage
from adapters.postgres.records.projects import PostgresProjects
from adapters.postgres.records.talents import PostgresTalents
from api.clients import routes as clients
from api.clients import table_routes as client_tables
from api.clients.service import ClientService
from api.http.dependencies import Positions
from api.projects import routes as projects
from api.projects import table_routes as project_tables
from api.projects.service import ProjectService
from api.tables.csv_tables import MAX_TABLE
from api.talents import routes as talents
from api.talents import table_routes as talent_tables
from api.talents.service import TalentService
from domain.clients.bulk_import import ClientImport
from domain.clients.commands import ClientCommands
from domain.clients.past import ClientPast
from domain.content import ContentEraser
from domain.projects.bulk_import import ProjectImport
from domain.projects.commands import ProjectCommands
from domain.projects.past import ProjectPast
from domain.talents.bulk_import import TalentImport
from domain.talents.commands import TalentCommands
from domain.talents.past import TalentPast
from runtime.wiring.parts import Parts, now

CSV_BODIES = frozenset({talent_tables.IMPORT_PATH, client_tables.IMPORT_PATH, project_tables.IMPORT_PATH})
LARGER_BODIES = dict.fromkeys(CSV_BODIES, MAX_TABLE)


def make_talent_commands(parts: Parts, eraser: ContentEraser | None = None) -> TalentCommands:
    """Return the commands on talents. Texts are removed by `eraser`, at once without one."""
    ids, secrets = PostgresIntegerIds(parts.database), PostgresTenantSecrets(parts.database)
    return TalentCommands(parts.ledger, parts.content, ids, secrets, eraser or parts.content)


def make_client_commands(parts: Parts) -> ClientCommands:
    """Return the commands on clients."""
    return ClientCommands(parts.ledger, parts.content, PostgresIntegerIds(parts.database), parts.content)


def make_project_commands(parts: Parts) -> ProjectCommands:
    """Return the commands on projects."""
    return ProjectCommands(
        parts.ledger,
        parts.content,
        PostgresIntegerIds(parts.database),
        parts.content,
        clients=make_client_commands(parts),
        talents=make_talent_commands(parts),
    )


def people_routers(parts: Parts, live: Positions) -> tuple[APIRouter, ...]:
    """Return the routers of talents, clients and projects."""
    people, customers, work = _talents(parts, live), _clients(parts, live), _projects(parts, live)
    return (
        talents.router(people),
        talent_tables.router(people),
        clients.router(customers),
        client_tables.router(customers),
        projects.router(work),
        project_tables.router(work),
    )


def _clients(parts: Parts, live: Positions) -> ClientService:
    return ClientService(
        make_client_commands(parts),
        ClientPast(parts.ledger, parts.content),
        ClientImport(parts.ledger, PostgresIntegerIds(parts.database)),
        live,
        PostgresClients(parts.database),
        now,
    )


def _projects(parts: Parts, live: Positions) -> ProjectService:
    return ProjectService(
        make_project_commands(parts),
        ProjectPast(parts.ledger, parts.content),
        ProjectImport(
            parts.ledger,
            PostgresIntegerIds(parts.database),
            clients=make_client_commands(parts),
            talents=make_talent_commands(parts),
        ),
        live,
        PostgresProjects(parts.database),
        PostgresProjectUsage(parts.database),
        now,
    )


def _talents(parts: Parts, live: Positions) -> TalentService:
    ids, secrets = PostgresIntegerIds(parts.database), PostgresTenantSecrets(parts.database)
    return TalentService(
        make_talent_commands(parts),
        TalentImport(parts.ledger, ids, secrets),
        TalentPast(parts.ledger, parts.content),
        PostgresTalents(parts.database),
        live,
        now,
    )
