"""The agents that Ali can choose from."""

import asyncio

from api.http.dependencies import Positions
from domain.agents.names import ALI
from domain.agents.ports import AgentFilter, AgentReads
from domain.ali.team import Candidate

_MAX_AGENTS = 1_000


class CandidateFinder:
    """Finds the deployed agents of a tenant."""

    def __init__(self, agents: AgentReads, positions: Positions) -> None:
        self._agents = agents
        self._positions = positions

    async def find(self, tenant_id: str) -> tuple[list[Candidate], bool]:
        """Return the deployed agents without Ali, in the order of their ids; False while their view is behind."""
        is_fresh = await self._positions.wait("agents")
        return await asyncio.to_thread(self._read, tenant_id), is_fresh

    def _read(self, tenant_id: str) -> list[Candidate]:
        rows = self._agents.page(AgentFilter(tenant_id, status="active"), skip=0, limit=_MAX_AGENTS).agents
        return [
            Candidate(row.id, row.name, row.description, tuple(row.capabilities))
            for row in rows
            if row.deployed_version is not None and row.id != ALI
        ]
