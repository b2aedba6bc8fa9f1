"""The service that the routes of the agent ecosystem call."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from api.ecosystem.schemas import (
    AgentHealthReport,
    AgentStatus,
    AppliedRule,
    EcosystemCounts,
    EcosystemHealth,
    HealthWindow,
)
from api.http.dependencies import Page
from api.http.schemas import MAX_INT
from domain.agents.ports import AgentFilter, AgentReads
from domain.agents.projection import AgentRow
from domain.ecosystem.policy import WINDOWS, HealthRule, WindowName, judge
from domain.ecosystem.ports import AgentActivity, EcosystemReads
from domain.providers.table import ANY_PROVIDER, ProviderTable

_IDLE = AgentActivity()


@dataclass(frozen=True, slots=True)
class EcosystemService:
    """Judges the agents that a tenant sees. Agents without a model of their own use `default_model`."""

    reads: EcosystemReads
    agents: AgentReads
    default_model: str
    rule: HealthRule
    now: Callable[[], datetime]
    table: ProviderTable = ANY_PROVIDER

    def health(self, tenant_id: str, name: WindowName, page: Page) -> EcosystemHealth:
        """Return the health of all agents that are not retired."""
        window = self._window(name)
        found = self.agents.page(AgentFilter(tenant_id), skip=0, limit=MAX_INT).agents
        statuses = self._judge(tenant_id, found, window)
        return EcosystemHealth(
            ecosystem_health=_count(statuses),
            agent_status=statuses[page.skip : page.skip + page.limit],
            window=window,
            rule=AppliedRule.model_validate(self.rule),
            **page.listing_fields(len(statuses)),
        )

    def agent_health(self, tenant_id: str, agent_id: str, name: WindowName) -> AgentHealthReport:
        """Return the health of one agent.

        Raises:
            domain.errors.NotFound: there is no such agent.
        """
        window = self._window(name)
        [status] = self._judge(tenant_id, [self.agents.get(tenant_id, agent_id)], window)
        return AgentHealthReport(**status.model_dump(), window=window, rule=AppliedRule.model_validate(self.rule))

    def _window(self, name: WindowName) -> HealthWindow:
        until = self.now()
        return HealthWindow(name=name, since=until - WINDOWS[name], until=until)

    def _judge(self, tenant_id: str, agents: Iterable[AgentRow], window: HealthWindow) -> list[AgentStatus]:
        did = self.reads.activities(tenant_id, window.since)
        failing = self.reads.failing_models(tenant_id, window.since, self.rule.model_streak)
        opened = self.reads.open_circuits(window.until)
        return [self._status(agent, did.get(agent.id, _IDLE), failing, opened) for agent in agents]

    def _status(
        self,
        agent: AgentRow,
        activity: AgentActivity,
        failing: Collection[str],
        opened: Collection[tuple[str, str]],
    ) -> AgentStatus:
        route = self.table.route_or_none(agent.model or self.default_model)
        model = route.name if route else agent.model or self.default_model
        health = judge(
            activity,
            self.rule,
            is_deployed=agent.status == "active",
            is_model_failing=model in failing,
            is_circuit_open=route is not None and (route.provider.name, route.model) in opened,
        )
        return AgentStatus.model_validate(
            {
                "agent_id": agent.id,
                "status": health.status,
                "last_response_time": activity.last_response_time,
                "success_rate": activity.success_rate,
                "measured": health.measured,
                "reasons": health.reasons,
                "turns_completed": activity.completed,
                "turns_failed": activity.failed,
                "response_time_p95": activity.response_time_p95,
                "last_ended_at": activity.last_ended_at,
                "model": model,
            }
        )


def _count(statuses: Collection[AgentStatus]) -> EcosystemCounts:
    counts = Counter(each.status for each in statuses)
    return EcosystemCounts(
        total_agents=len(statuses),
        active_agents=len(statuses) - counts["inactive"],
        healthy_agents=counts["healthy"],
        degraded_agents=counts["degraded"],
        failed_agents=counts["failed"],
        inactive_agents=counts["inactive"],
        measured_agents=sum(each.measured for each in statuses),
    )
