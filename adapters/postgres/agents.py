"""Queries of the agent registry."""

from dataclasses import fields

from adapters.postgres.ledger.pool import Database
from domain.agents.definition import AgentDefinition
from domain.agents.names import Known
from domain.agents.ports import AgentFilter, AgentPage, VersionPage
from domain.agents.projection import AgentRow, AgentVersionRow
from domain.errors import NotFound

_SELECT = f"SELECT {', '.join(field.name for field in fields(AgentRow))} "
_PASSING = """
    FROM agents
    WHERE (status = %(status)s OR %(status)s::text IS NULL AND retired_at IS NULL)
      AND (%(capability)s::text IS NULL
           OR lower(%(capability)s) IN (SELECT lower(phrase) FROM unnest(capabilities) AS phrase))
      AND (%(q)s::text IS NULL
           OR strpos(lower(concat_ws(E'\\n', id, name, description, array_to_string(capabilities, E'\\n'))),
                     lower(%(q)s)) > 0)
"""
_PAGE = _SELECT + _PASSING + "ORDER BY id OFFSET %(skip)s LIMIT %(limit)s"
_COUNT = "SELECT count(*)" + _PASSING
_GET = (
    _SELECT
    + """
    FROM agents WHERE id = %(name)s OR aliases @> ARRAY[%(name)s::text] AND retired_at IS NULL
    ORDER BY id <> %(name)s, id LIMIT 1
    """
)
_NAMES = "SELECT id, name, aliases, retired_at IS NOT NULL FROM agents ORDER BY id"
_VERSION_COLUMNS = ", ".join(field.name for field in fields(AgentVersionRow))
_VERSIONS = f"""
    SELECT {_VERSION_COLUMNS} FROM agent_versions WHERE agent_id = %s ORDER BY version DESC OFFSET %s LIMIT %s
"""  # noqa: S608  (column names)
_VERSION_COUNT = "SELECT count(*) FROM agent_versions WHERE agent_id = %s"
_VERSION = f"SELECT {_VERSION_COLUMNS} FROM agent_versions WHERE agent_id = %s AND version = %s"  # noqa: S608  (the same)
_DEFINITION = "SELECT definition FROM agent_versions WHERE agent_id = %s AND version = %s"


class PostgresAgents:
    """`domain.agents.ports.AgentReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, wanted: AgentFilter, *, skip: int, limit: int) -> AgentPage:
        parameters = {"status": wanted.status, "capability": wanted.capability, "q": wanted.q}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE, {**parameters, "skip": skip, "limit": limit}, prepare=True, binary=True)
            agents = [AgentRow(*row) for row in rows]
            count = connection.execute(_COUNT, parameters, prepare=True).fetchone()
        return AgentPage(agents, count[0] if count else 0)

    def get(self, agent_id: str) -> AgentRow:
        with self._database.connection() as connection:
            row = connection.execute(_GET, {"name": agent_id}, prepare=True, binary=True).fetchone()
        if row is None:
            raise NotFound(f"there is no agent {agent_id}")
        return AgentRow(*row)

    def definition(self, agent_id: str, version: int) -> AgentDefinition:
        with self._database.connection() as connection:
            row = connection.execute(_DEFINITION, (agent_id, version), prepare=True).fetchone()
        if row is None:
            raise NotFound(f"there is no version {version} of agent {agent_id}")
        return AgentDefinition.model_validate(row[0])

    def version(self, agent_id: str, version: int) -> AgentVersionRow:
        with self._database.connection() as connection:
            row = connection.execute(_VERSION, (agent_id, version), prepare=True).fetchone()
        if row is None:
            raise NotFound(f"there is no version {version} of agent {agent_id}")
        return AgentVersionRow(*row)

    def versions(self, agent_id: str, *, skip: int, limit: int) -> VersionPage:
        with self._database.connection() as connection:
            rows = connection.execute(_VERSIONS, (agent_id, skip, limit), prepare=True)
            versions = [AgentVersionRow(*row) for row in rows]
            count = connection.execute(_VERSION_COUNT, (agent_id,), prepare=True).fetchone()
        return VersionPage(versions, count[0] if count else 0)

    def names(self) -> list[Known]:
        with self._database.connection() as connection:
            rows = connection.execute(_NAMES, prepare=True)
            return [Known(agent_id, name, aliases, retired=retired) for agent_id, name, aliases, retired in rows]
