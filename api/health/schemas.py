"""Response models of the health routes."""

from typing import Literal

from api.http.schemas import Timestamp, View

Connection = Literal["connected", "disconnected", "not_configured"]
Status = Literal["healthy", "degraded", "unhealthy"]


class ProjectionState(View):
    """One projection: events behind the ledger, and events set aside as dead letters."""

    name: str
    lag: int
    dead_letters: int


class ToolServerState(View):
    """One configured tool server: the number of tools it offers, and the names of unusable ones.

    The reasons are in the log, and in `/api/v1/agents/{agent_id}/tools`.
    """

    name: str
    status: Literal["connected", "disconnected"]
    tools: int
    quarantined: list[str]


class ProviderState(View):
    """One model provider, and whether it answered. `llm` is `connected` if all of them did."""

    name: str
    status: Literal["connected", "disconnected"]


class OpenCircuit(View):
    """A model to which no calls are sent for now, or only a probe: too many failed, the last one with `error`.

    From `retry_at` on a call is let through as a probe.
    """

    provider: str
    model: str
    state: Literal["open", "half_open"]
    opened_at: Timestamp | None
    retry_at: Timestamp | None
    error: str | None


class Health(View):
    """`unhealthy` if the database or Temporal does not answer, `degraded` if anything else fails.

    An open circuit is such a failure, until ten minutes after its last probe was due.
    """

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
    providers: list[ProviderState]
    open_circuits: list[OpenCircuit]
    latency_ms: dict[str, float]


class Alive(View):
    """The process answers."""

    status: Literal["alive", "ready"]
