"""The rules over days: higher costs, or more failures, than on the days before."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import dropwhile

from domain.ali.findings import Evidence, Insight, Severity, Window, make_insight
from domain.ali.ports import DayTurns, Facts
from domain.ali.thresholds import Thresholds

_ZERO = Decimal(0)


def cost_spikes(facts: Facts, thresholds: Thresholds) -> Iterator[Insight]:
    """Days of the platform, and of single agents, that cost far more than the days before."""
    costs: dict[str, dict[date, Decimal]] = defaultdict(lambda: defaultdict(lambda: _ZERO))
    for row in facts.costs:
        costs["platform"][row.day] += row.cost
        costs[f"agent:{row.agent_id}"][row.day] += row.cost
    for day in _days(facts.now):
        for subject in sorted(costs):
            if spike := _spike_insight(subject, day, costs[subject], facts.now, thresholds):
                yield spike


def _spike_insight(
    subject: str, day: date, costs: Mapping[date, Decimal], now: datetime, thresholds: Thresholds
) -> Insight | None:
    limits = thresholds.costs
    before = [costs.get(day - timedelta(days=back), _ZERO) for back in range(thresholds.baseline_days, 0, -1)]
    known = list(dropwhile(lambda cost: cost <= 0, before))
    if len(known) < limits.least_days:
        return None
    baseline, value = sum(known, _ZERO) / len(known), costs.get(day, _ZERO)
    least = limits.least_rise_platform if subject == "platform" else limits.least_rise_agent
    if value - baseline < least or value < limits.info_ratio * baseline:
        return None
    ratio = value / baseline
    severity: Severity = "warning" if ratio >= limits.warning_ratio else "info"
    title = f"{_name(subject)} cost ${value:.2f} on {day}, {ratio:.1f} times the ${baseline:.2f} a day of before"
    return make_insight(
        "cost_spike",
        subject,
        "critical" if ratio >= limits.critical_ratio else severity,
        title=title,
        evidence=Evidence("cost_usd", value, baseline, _window(day, now)),
        now=now,
    )


def failing_agents(facts: Facts, thresholds: Thresholds) -> Iterator[Insight]:
    """Agents of whose turns too many failed on a day."""
    turns: dict[str, list[DayTurns]] = defaultdict(list)
    for row in facts.turns:
        turns[row.agent_id].append(row)
    for day in _days(facts.now):
        for agent_id in sorted(turns):
            if failing := _failing_insight(agent_id, day, turns[agent_id], facts.now, thresholds):
                yield failing


def _failing_insight(
    agent_id: str, day: date, turns: list[DayTurns], now: datetime, thresholds: Thresholds
) -> Insight | None:
    limits, since = thresholds.failures, day - timedelta(days=thresholds.baseline_days)
    many, failed = _count([row for row in turns if row.day == day])
    if many < limits.least_turns or failed < limits.least_failed:
        return None
    earlier, failed_earlier = _count([row for row in turns if since <= row.day < day])
    share = Decimal(failed) / many
    baseline = Decimal(failed_earlier) / earlier if earlier >= limits.least_turns else None
    severity = _gravity(share, baseline, thresholds)
    if severity is None:
        return None
    usual = "" if baseline is None else f"; {baseline:.0%} on the days before"
    title = f"{failed} of {many} turns of {agent_id} failed on {day} ({share:.0%}{usual})"
    evidence = Evidence("failed_share", share, baseline, _window(day, now))
    return make_insight("failing_agent", f"agent:{agent_id}", severity, title=title, evidence=evidence, now=now)


def _gravity(share: Decimal, baseline: Decimal | None, thresholds: Thresholds) -> Severity | None:
    limits = thresholds.failures
    if share >= limits.critical_share:
        return "critical"
    if share < limits.least_share:
        return None
    if baseline is None:
        return "info"
    return "warning" if share >= limits.ratio * baseline else None


def _count(turns: list[DayTurns]) -> tuple[int, int]:
    """Return the numbers of turns and of failed turns."""
    failed = sum(row.failed for row in turns)
    return failed + sum(row.completed for row in turns), failed


def _days(now: datetime) -> tuple[date, date]:
    today = now.astimezone(UTC).date()
    return today, today - timedelta(days=1)


def _window(day: date, now: datetime) -> Window:
    """Return the part of the day that has passed."""
    midnight = datetime.combine(day, time.min, UTC)
    return Window(midnight, min(midnight + timedelta(days=1), now))


def _name(subject: str) -> str:
    return "The platform" if subject == "platform" else subject.removeprefix("agent:")
