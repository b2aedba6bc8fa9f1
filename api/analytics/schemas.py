"""Response models of analytics."""

from datetime import date
from typing import Any, Literal

from api.http.schemas import Listing, Measure, Money, Timestamp, View
from domain.analytics.ports import AgentFigures, TurnQuality
from domain.analytics.windows import WindowRequest
from domain.usage import DayOfUsage, UsagePeriod


class AnalyticsWindow(View):
    """The period of all figures: whole days of the time zone, today included.

    With `since` (of `24h`) nothing before that moment counts, so the first day is a part of a day.
    """

    name: Literal["24h", "7d", "30d", "custom"]
    time_zone: str
    period_start: date
    period_end: date
    since: Timestamp | None


class QualityFigures(View):
    """The ends of turns, their response times in seconds, and ratings.

    Turns of chats, swarms and workflows count by their start. `turns_failed` leaves out those that a person stopped or
    rejected; `success_rate` is the completed share of `turns_completed` and `turns_failed`, null while there are none.
    Response times, from the start of a turn to its answer, are exact: `p95` is the 95th percentile, interpolated
    between the two nearest turns. Turns that waited for a person are not timed. `user_satisfaction` is the mean of the
    `ratings` (1 to 5) given in the period, the last one of each turn; null while there is none.
    """

    turns_completed: int
    turns_failed: int
    success_rate: Measure | None
    response_time_avg: Measure | None
    response_time_p50: Measure | None
    response_time_p95: Measure | None
    response_time_p99: Measure | None
    ratings: int
    user_satisfaction: Measure | None


class DashboardMetrics(QualityFigures):
    """The tenant's key figures.

    `total_conversations` are chats that were opened in the period and that no run started. `active_agents` are deployed
    now, as `/agents?status=active` lists them; `agents_used` did anything in the period, as `/analytics/agents` lists
    them. `cost`, `tokens` and `requests` have the definitions of `/cost-management/usage`.
    """

    total_conversations: int
    active_agents: int
    agents_used: int
    cost: Money
    tokens: int
    requests: int


class DailyTrend(View):
    """One day of the time zone."""

    date: date
    conversations: int
    cost: Money
    tokens: int


class DashboardTrends(View):
    """The days of the period without gaps."""

    daily_usage: list[DailyTrend]


class Dashboard(View):
    """Key figures and their trend."""

    metrics: DashboardMetrics
    trends: DashboardTrends
    window: AnalyticsWindow


class AgentAnalytics(QualityFigures):
    """The figures of one agent. `conversations` were opened with it; `turns` are those of conversations only."""

    agent_id: str
    conversations: int
    turns: int
    tokens: int
    cost: Money
    requests: int


class AgentAnalyticsList(Listing):
    """The agents that did anything in the period, in the order of their ids."""

    data: list[AgentAnalytics]
    window: AnalyticsWindow


class UsageTotals(View):
    """Usage: figures of model calls as in `/cost-management/usage`, and the number of conversations and runs.

    `conversations` were opened in the period, and `turns` are those of conversations that started in it; `executions`
    leave out those that another execution started.
    """

    cost: Money
    tokens: int
    requests: int
    reserved: int
    failed: int
    unknown: int
    open_cost: Money
    conversations: int
    turns: int
    executions: int
    swarms: int


class UsageOnDay(UsageTotals):
    """Usage of one day of the time zone."""

    date: date


class UsageAnalytics(View):
    """Usage of the period, in all and by day without gaps; the days add up to the totals."""

    window: AnalyticsWindow
    totals: UsageTotals
    daily: list[UsageOnDay]


def to_window(asked: WindowRequest, period: UsagePeriod) -> AnalyticsWindow:
    """Return the response for a period."""
    days = {"period_start": period.first, "period_end": period.last, "since": period.since}
    return AnalyticsWindow.model_validate({"name": asked.shown_name, "time_zone": period.time_zone, **days})


def quality_fields(quality: TurnQuality) -> dict[str, Any]:
    """Return the fields of `QualityFigures`."""
    times = quality.times
    return {
        "turns_completed": quality.completed,
        "turns_failed": quality.failed,
        "success_rate": quality.success_rate,
        "response_time_avg": times.average,
        "response_time_p50": times.p50,
        "response_time_p95": times.p95,
        "response_time_p99": times.p99,
        "ratings": quality.ratings,
        "user_satisfaction": quality.rating,
    }


def to_agent(figures: AgentFigures) -> AgentAnalytics:
    """Return the response for an agent."""
    own = {name: getattr(figures, name) for name in AgentAnalytics.model_fields if hasattr(figures, name)}
    return AgentAnalytics.model_validate({**own, **quality_fields(figures.quality)})


def to_day(day: DayOfUsage) -> UsageOnDay:
    """Return the response for a day."""
    return UsageOnDay(date=day.day, **UsageTotals.model_validate(day.usage).model_dump())
