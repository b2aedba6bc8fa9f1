"""The service that the routes of analytics call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from api.analytics.schemas import (
    AgentAnalyticsList,
    DailyTrend,
    Dashboard,
    DashboardMetrics,
    DashboardTrends,
    UsageAnalytics,
    UsageTotals,
    quality_fields,
    to_agent,
    to_day,
    to_window,
)
from api.http.dependencies import Page
from domain.agents.ports import AgentFilter, AgentReads
from domain.analytics.ports import AnalyticsReads
from domain.analytics.windows import WindowRequest, resolve_window
from domain.usage import UsagePeriod, sum_usage


@dataclass(frozen=True, slots=True)
class AnalyticsService:
    """Figures of a tenant in a period."""

    reads: AnalyticsReads
    agents: AgentReads
    now: Callable[[], datetime]

    def dashboard(self, tenant_id: str, asked: WindowRequest) -> Dashboard:
        """Return key figures and their daily trend.

        Raises:
            domain.errors.Invalid: the time zone is unknown, or the period is not valid.
        """
        period = self._period(asked)
        days = self.reads.daily(tenant_id, period)
        total = sum_usage(days)
        metrics = DashboardMetrics(
            total_conversations=total.conversations,
            active_agents=self.agents.page(AgentFilter(tenant_id, "active"), skip=0, limit=1).total,
            agents_used=self.reads.count_agents(tenant_id, period),
            cost=total.cost,
            tokens=total.tokens,
            requests=total.requests,
            **quality_fields(self.reads.quality(tenant_id, period)),
        )
        shown = [
            DailyTrend(date=each.day, conversations=usage.conversations, cost=usage.cost, tokens=usage.tokens)
            for each in days
            for usage in (each.usage,)
        ]
        return Dashboard(metrics=metrics, trends=DashboardTrends(daily_usage=shown), window=to_window(asked, period))

    def list_agents(self, tenant_id: str, asked: WindowRequest, page: Page) -> AgentAnalyticsList:
        """Return a page of the agents that did anything.

        Raises:
            domain.errors.Invalid: the time zone is unknown, or the period is not valid.
        """
        period = self._period(asked)
        found = self.reads.agents(tenant_id, period)
        shown = [to_agent(each) for each in found[page.skip : page.skip + page.limit]]
        return AgentAnalyticsList(data=shown, window=to_window(asked, period), **page.listing_fields(len(found)))

    def usage(self, tenant_id: str, asked: WindowRequest) -> UsageAnalytics:
        """Return usage in all and by day.

        Raises:
            domain.errors.Invalid: the time zone is unknown, or the period is not valid.
        """
        period = self._period(asked)
        days = self.reads.daily(tenant_id, period)
        return UsageAnalytics(
            window=to_window(asked, period),
            totals=UsageTotals.model_validate(sum_usage(days)),
            daily=[to_day(each) for each in days],
        )

    def _period(self, asked: WindowRequest) -> UsagePeriod:
        return resolve_window(asked, self.now(), self.reads.today)
