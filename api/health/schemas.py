"""Answers of the health routes."""

from typing import Literal

from api.http.schemas import View

Connection = Literal["connected", "disconnected", "not_configured"]
Status = Literal["healthy", "degraded", "unhealthy"]


class ProjectionState(View):
    """One projection: events behind the ledger, and events set aside."""

    name: str
    lag: int
    dead_letters: int


class ToolServerState(View):
    """One configured tool server: tools that it offers, and names of those that it lists in a way that cannot be used.

    Why is in the log, and in `/api/v1/agents/{agent_id}/tools`.
    """

    name: str
    status: Literal["connected", "disconnected"]
    tools: int
    quarantined: list[str]


class Health(View):
    """`unhealthy` when the database or Temporal does not answer, `degraded` when something else is wrong."""

    status: Status
    timestamp: str
    version: str
    database: Connection
    redis: Connection
    temporal: Connection
    vector_store: Connection
    llm: Connection
    projections: list[ProjectionState]
    tool_servers: list[ToolServerState]
    latency_ms: dict[str, float]


class Alive(View):
    """The process answers."""

    status: Literal["alive", "ready"]
