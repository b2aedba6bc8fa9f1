"""Reading the registry of agents."""

from adapters.postgres.pool import Database
from domain.agents.definition import AgentDefinition
from domain.agents.ports import AgentFilter, AgentPage
from domain.agents.projection import AgentRow
from domain.errors import NotFound

_SELECT = """
    SELECT id, name, description, status, capabilities, tools, color, aliases, model, temperature, fingerprint, version,
           deployed_version, created_at, updated_at
"""
_PASSING = """
    FROM agents
    WHERE (%(status)s::text IS NULL OR status = %(status)s)
      AND (%(capability)s::text IS NULL
           OR lower(%(capability)s) IN (SELECT lower(phrase) FROM unnest(capabilities) AS phrase))
      AND (%(q)s::text IS NULL
           OR strpos(lower(concat_ws(E'\\n', id, name, description, array_to_string(capabilities, E'\\n'))),
                     lower(%(q)s)) > 0)
"""
_PAGE = _SELECT + _PASSING + "ORDER BY id OFFSET %(skip)s LIMIT %(limit)s"
_COUNT = "SELECT count(*)" + _PASSING
_GET = (
    _SELECT + "FROM agents WHERE id = %(name)s OR aliases @> ARRAY[%(name)s::text] ORDER BY id <> %(name)s, id LIMIT 1"
)
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
