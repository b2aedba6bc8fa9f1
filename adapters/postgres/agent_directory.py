"""Look-up of the agents that can take part in runs."""

from collections.abc import Iterable, Mapping

from adapters.postgres.ledger.pool import Database
from domain.swarm.events import PinnedSwarmAgent

_DEPLOYED = """
    SELECT DISTINCT ON (wanted.name) wanted.name, a.id, a.deployed_version, v.definition ->> 'approval'
    FROM unnest(%s::text[]) AS wanted (name)
    JOIN agents AS a ON a.tenant_id IN (%s, '*') AND (a.id = wanted.name OR a.aliases @> ARRAY[wanted.name])
    JOIN agent_versions AS v ON v.tenant_id = a.tenant_id AND v.agent_id = a.id AND v.version = a.deployed_version
    WHERE a.status = 'active' ORDER BY wanted.name, a.id <> wanted.name, a.tenant_id = '*', a.id
"""


class PostgresAgentDirectory:
    """`domain.swarm.ports.AgentDirectory` on the view of the agents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_deployed(self, tenant_id: str, names: Iterable[str]) -> Mapping[str, PinnedSwarmAgent]:
        with self._database.connection() as connection:
            rows = connection.execute(
                _DEPLOYED.encode(), (list(names), tenant_id), prepare=True, binary=True
            ).fetchall()
        return {name: _to_agent(*values) for name, *values in rows}


def _to_agent(agent_id: str, version: int, approval: str | None) -> PinnedSwarmAgent:
    hold = None if approval in {None, "none"} else approval
    return PinnedSwarmAgent.model_validate({"agent_id": agent_id, "agent_version": version, "hold": hold})
