"""Insights: rules over facts. Without a finding the result is empty; nothing is ever made up."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from domain.ali.day_rules import cost_spikes, failing_agents
from domain.ali.findings import Insight, Severity
from domain.ali.ports import Facts
from domain.ali.thresholds import Thresholds
from domain.ali.waiting_rules import slow_runs, stuck_approvals

_ORDER: Mapping[Severity, int] = {"critical": 0, "warning": 1, "info": 2}


def first_day(now: datetime, thresholds: Thresholds) -> date:
    """Return the first day whose facts the rules need: the start of yesterday's baseline."""
    return now.astimezone(UTC).date() - timedelta(days=thresholds.baseline_days + 1)


def insights(facts: Facts, thresholds: Thresholds) -> list[Insight]:
    """Return all findings, the gravest first, in an order that is the same for the same facts."""
    found = [
        *cost_spikes(facts, thresholds),
        *failing_agents(facts, thresholds),
        *stuck_approvals(facts, thresholds),
        *slow_runs(facts, thresholds),
    ]
    return sorted(found, key=lambda it: (_ORDER[it.severity], it.kind, it.subject, it.evidence.window.first))
