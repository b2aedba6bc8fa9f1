"""Queries of the agent registry."""

from dataclasses import fields

from adapters.postgres.ledger.pool import Database
from domain.agents.definition import AgentDefinition
from domain.agents.names import AgentNames
from domain.agents.ports import AgentFilter, AgentPage, AgentVersionPage
from domain.agents.projection import AgentRow, AgentVersionRow
from domain.errors import NotFound

_SELECT = f"SELECT {', '.join(field.name for field in fields(AgentRow))} "
_CONDITIONS = """
    FROM agents
    WHERE tenant_id IN (%(tenant_id)s, '*')
      AND (status = %(status)s OR %(status)s::text IS NULL AND retired_at IS NULL)
      AND (%(capability)s::text IS NULL
           OR lower(%(capability)s) IN (SELECT lower(phrase) FROM unnest(capabilities) AS phrase))
      AND (%(q)s::text IS NULL
           OR strpos(lower(concat_ws(E'\\n', id, name, description, array_to_string(capabilities, E'\\n'))),
                     lower(%(q)s)) > 0)
"""
_PAGE = _SELECT + _CONDITIONS + "ORDER BY id, tenant_id OFFSET %(skip)s LIMIT %(limit)s"
_COUNT = "SELECT count(*)" + _CONDITIONS
_GET = (
    _SELECT
    + """
    FROM agents WHERE tenant_id IN (%(tenant_id)s, '*')
      AND (id = %(name)s OR aliases @> ARRAY[%(name)s::text] AND retired_at IS NULL)
    ORDER BY id <> %(name)s, tenant_id = '*', id LIMIT 1
    """
)
_NAMES = "SELECT id, name, aliases, retired_at IS NOT NULL FROM agents WHERE tenant_id IN (%s, '*') ORDER BY id"
_VERSION_COLUMNS = ", ".join(field.name for field in fields(AgentVersionRow))
_OF_ONE = """
    WHERE agent_id = %(agent_id)s AND tenant_id = (
        SELECT tenant_id FROM agents WHERE id = %(agent_id)s AND tenant_id IN (%(tenant_id)s, '*')
        ORDER BY tenant_id = '*' LIMIT 1
    )
"""
"""The tenant's own agent of this id, or else the built-in one."""
_VERSIONS = f"""
    SELECT {_VERSION_COLUMNS} FROM agent_versions {_OF_ONE} ORDER BY version DESC OFFSET %(skip)s LIMIT %(limit)s
"""  # noqa: S608  (column names)
_VERSION_COUNT = f"SELECT count(*) FROM agent_versions {_OF_ONE}"  # noqa: S608  (the same)
_NUMBERED = f"{_OF_ONE} AND version = %(version)s"
_VERSION = f"SELECT {_VERSION_COLUMNS} FROM agent_versions {_NUMBERED}"  # noqa: S608  (the same)
_DEFINITION = f"SELECT definition FROM agent_versions {_NUMBERED}"  # noqa: S608  (the same)


class PostgresAgents:
    """`domain.agents.ports.AgentReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: AgentFilter, *, skip: int, limit: int) -> AgentPage:
        parameters = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE, {**parameters, "skip": skip, "limit": limit}, prepare=True, binary=True)
            agents = [AgentRow(*row) for row in rows]
            count = connection.execute(_COUNT, parameters, prepare=True).fetchone()
        return AgentPage(agents, count[0] if count else 0)

    def get(self, tenant_id: str, agent_id: str) -> AgentRow:
        named = {"tenant_id": tenant_id, "name": agent_id}
        with self._database.connection() as connection:
            row = connection.execute(_GET, named, prepare=True, binary=True).fetchone()
        if row is None:
            raise NotFound(f"there is no agent {agent_id}")
        return AgentRow(*row)

    def definition(self, tenant_id: str, agent_id: str, version: int) -> AgentDefinition:
        one = {"tenant_id": tenant_id, "agent_id": agent_id, "version": version}
        with self._database.connection() as connection:
            row = connection.execute(_DEFINITION.encode(), one, prepare=True).fetchone()
        if row is None:
            raise NotFound(f"there is no version {version} of agent {agent_id}")
        return AgentDefinition.model_validate(row[0])

    def version(self, tenant_id: str, agent_id: str, version: int) -> AgentVersionRow:
        one = {"tenant_id": tenant_id, "agent_id": agent_id, "version": version}
        with self._database.connection() as connection:
            row = connection.execute(_VERSION.encode(), one, prepare=True).fetchone()
        if row is None:
            raise NotFound(f"there is no version {version} of agent {agent_id}")
        return AgentVersionRow(*row)

    def versions(self, tenant_id: str, agent_id: str, *, skip: int, limit: int) -> AgentVersionPage:
        one = {"tenant_id": tenant_id, "agent_id": agent_id}
        with self._database.connection() as connection:
            rows = connection.execute(_VERSIONS.encode(), {**one, "skip": skip, "limit": limit}, prepare=True)
            versions = [AgentVersionRow(*row) for row in rows]
            count = connection.execute(_VERSION_COUNT.encode(), one, prepare=True).fetchone()
        return AgentVersionPage(versions, count[0] if count else 0)

    def names(self, tenant_id: str) -> list[AgentNames]:
        with self._database.connection() as connection:
            rows = connection.execute(_NAMES, (tenant_id,), prepare=True)
            return [AgentNames(agent_id, name, aliases, retired=retired) for agent_id, name, aliases, retired in rows]
