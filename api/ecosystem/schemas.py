"""Response models of the agent ecosystem."""

from api.http.schemas import Listing, Measure, Timestamp, View
from domain.ecosystem.policy import ReasonCode, Status, WindowName


class HealthWindow(View):
    """The time span that is judged: turns that started in it, and attempts at calls."""

    name: WindowName
    since: Timestamp
    until: Timestamp


class AppliedRule(View):
    """The limits of health; times are seconds.

    An agent is `failed` if its `success_rate` is below `failed_below` and at least `least_turns` turns have ended;
    `degraded` if it is below `degraded_below`, if the 95th percentile of its response times is above `slow_above_s` in
    at least `least_turns` turns, if the last `model_streak` attempts at calls of its model all failed, or if the
    model's circuit is open; `inactive` if no version of it is deployed; `healthy` otherwise.
    """

    least_turns: int
    failed_below: float
    degraded_below: float
    slow_above_s: float
    model_streak: int


class StatusReason(View):
    """A reason of a status, with the measured value and the limit it is compared with, where there are such."""

    code: ReasonCode
    message: str
    value: Measure | None
    limit: Measure | None


class AgentStatus(View):
    """The health of an agent in the window, by the turns of the caller's tenant.

    `measured` is false if none of its turns ended in the window: it then counts as healthy, as nothing speaks against
    it. `success_rate` and response times (seconds) have the definitions of `/api/v1/analytics/agents`;
    `last_response_time` is that of the newest timed turn in the window. `model` is the model that it uses.
    """

    agent_id: str
    status: Status
    last_response_time: Measure | None
    success_rate: Measure | None
    measured: bool
    reasons: list[StatusReason]
    turns_completed: int
    turns_failed: int
    response_time_p95: Measure | None
    last_ended_at: Timestamp | None
    model: str


class EcosystemCounts(View):
    """The numbers of agents. `active_agents` are deployed: each is healthy, degraded or failed."""

    total_agents: int
    active_agents: int
    healthy_agents: int
    degraded_agents: int
    failed_agents: int
    inactive_agents: int
    measured_agents: int


class EcosystemHealth(Listing):
    """The health of all agents: counts, and each agent in the order of their ids."""

    ecosystem_health: EcosystemCounts
    agent_status: list[AgentStatus]
    window: HealthWindow
    rule: AppliedRule


class AgentHealthReport(AgentStatus):
    """The health of one agent, and the rule that was applied."""

    window: HealthWindow
    rule: AppliedRule
