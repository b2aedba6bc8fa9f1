"""The rules: nothing without evidence, more with more of it, and the same id for the same thing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ali.findings import Insight, Severity
from domain.ali.insights import first_day, insights
from domain.ali.ports import DayCost, DayTurns, Facts, RunKind, RunningRun, UsualDuration, WaitingApproval
from domain.ali.thresholds import Thresholds

NOW = datetime(2026, 3, 9, 15, 30, tzinfo=UTC)
TODAY = NOW.date()
LIMITS = Thresholds()
GRAVITY: Mapping[Severity | None, int] = {None: 0, "info": 1, "warning": 2, "critical": 3}

dollars = st.decimals(min_value=0, max_value=1000, places=4)
counts = st.integers(0, 200)
spans = st.timedeltas(timedelta(seconds=1), timedelta(days=10))
kinds: st.SearchStrategy[RunKind] = st.sampled_from(["turn", "swarm"])


def back(days: int) -> date:
    return TODAY - timedelta(days=days)


def found(facts: Facts) -> list[Insight]:
    return insights(facts, LIMITS)


def only(facts: Facts, subject: str, day: date | None = None) -> Insight | None:
    """The one insight on this subject, and on this day if one is named."""
    on_it = [
        it for it in found(facts) if it.subject == subject and (day is None or it.evidence.window.first.date() == day)
    ]
    assert len(on_it) <= 1
    return on_it[0] if on_it else None


def gravity(insight: Insight | None) -> int:
    return GRAVITY[insight.severity if insight else None]


def spent(before: Iterable[str], today: str, agent_id: str = "amy_cfo") -> Facts:
    """Costs of the days up to yesterday, oldest first, and of today."""
    amounts = [*before, today]
    rows = [
        DayCost(back(len(amounts) - 1 - number), agent_id, Decimal(amount)) for number, amount in enumerate(amounts)
    ]
    return Facts(NOW, costs=tuple(rows))


def ran(completed: int, failed: int, before: tuple[int, int] = (0, 0)) -> Facts:
    """Turns of one agent today, and on the days before."""
    return Facts(NOW, turns=(DayTurns(TODAY, "amy_cfo", completed, failed), DayTurns(back(3), "amy_cfo", *before)))


def waits(waited: timedelta, whole: timedelta | None = None, risk: str = "medium") -> Facts:
    since = NOW - waited
    return Facts(NOW, approvals=(WaitingApproval("approval_1", risk, since, since + whole if whole else None),))


def runs(running: timedelta, kind: RunKind = "turn", usual: tuple[int, float] | None = None) -> Facts:
    known = (UsualDuration(kind, *usual),) if usual else ()
    return Facts(NOW, running=(RunningRun(kind, "session_1#2", NOW - running),), usual=known)


def test_where_nothing_happened_nothing_stands_out() -> None:
    assert found(Facts(NOW)) == []


@given(today=dollars, yesterday=dollars)
def test_without_days_before_no_cost_is_a_spike(today: Decimal, yesterday: Decimal) -> None:
    facts = Facts(NOW, costs=(DayCost(TODAY, "amy_cfo", today), DayCost(back(1), "amy_cfo", yesterday)))
    assert found(facts) == []


@given(cost=dollars, days=st.integers(1, 8))
def test_a_cost_that_is_always_the_same_is_no_spike(cost: Decimal, days: int) -> None:
    assert found(spent([str(cost)] * days, str(cost))) == []


@given(before=st.lists(dollars, min_size=3, max_size=7), today=dollars, more=dollars)
def test_a_dearer_day_never_stands_out_less(before: list[Decimal], today: Decimal, more: Decimal) -> None:
    amounts = [str(cost) for cost in before]
    for subject in ("platform", "agent:amy_cfo"):
        less, dearer = (only(spent(amounts, str(cost)), subject, TODAY) for cost in (today, today + more))
        assert gravity(less) <= gravity(dearer)


@given(before=st.lists(dollars, min_size=1, max_size=7), today=dollars)
def test_a_spike_is_dearer_than_its_baseline_by_the_least_that_counts(before: list[Decimal], today: Decimal) -> None:
    facts = spent([str(cost) for cost in before], str(today))
    least = {"platform": LIMITS.costs.least_rise_platform, "agent:amy_cfo": LIMITS.costs.least_rise_agent}
    for spike in found(facts):
        baseline = spike.evidence.baseline
        assert baseline is not None
        assert baseline > 0
        assert spike.evidence.value - baseline >= least[spike.subject]
        assert spike.evidence.value >= LIMITS.costs.info_ratio * baseline


@pytest.mark.parametrize(
    ("today", "severity"),
    [("1.99", None), ("2.00", "info"), ("3.00", "warning"), ("5.99", "warning"), ("6.00", "critical")],
)
def test_the_ratio_to_the_days_before_says_how_grave_a_spike_is(today: str, severity: Severity | None) -> None:
    spike = only(spent(["1"] * 7, today), "platform")
    assert (spike.severity if spike else None) == severity


def test_cents_do_not_alarm() -> None:
    assert found(spent(["0.01"] * 7, "0.50")) == []
    assert [it.subject for it in found(spent(["0.01"] * 7, "0.60"))] == ["agent:amy_cfo"]


def test_a_spike_tells_what_was_measured() -> None:
    spike = only(spent(["1", "2", "3"], "10"), "agent:amy_cfo")
    assert spike is not None
    assert (spike.kind, spike.severity) == ("cost_spike", "warning")
    assert (spike.evidence.metric, spike.evidence.value, spike.evidence.baseline) == ("cost_usd", 10, 2)
    assert spike.evidence.window.first == datetime(2026, 3, 9, tzinfo=UTC)
    assert (spike.evidence.window.last, spike.detected_at) == (NOW, NOW)
    assert spike.title == "amy_cfo cost $10.00 on 2026-03-09, 5.0 times the $2.00 a day of before"


def test_the_platform_may_stand_out_where_no_agent_does() -> None:
    agents = [f"agent_{number}" for number in range(4)]
    facts = [spent(["0.10"] * 7, "0.50", agent_id) for agent_id in agents]
    together = Facts(NOW, costs=tuple(row for it in facts for row in it.costs))
    assert [it.subject for it in found(together)] == ["platform"]


def test_days_before_the_first_cost_are_not_held_against_it() -> None:
    """A newcomer is compared with the days since it came, and only once there are enough of them."""
    assert only(spent(["0", "0", "0", "0", "0", "2", "2"], "9"), "platform") is None
    spike = only(spent(["0", "0", "0", "0", "2", "0", "1"], "9"), "platform")
    assert spike is not None
    assert spike.evidence.baseline == 1


def test_yesterday_is_looked_at_as_well() -> None:
    facts = Facts(NOW, costs=tuple(DayCost(back(day), "amy_cfo", Decimal(9 if day == 1 else 1)) for day in range(1, 9)))
    spike = only(facts, "platform")
    assert spike is not None
    assert spike.evidence.window.first.date() == back(1)
    assert spike.evidence.window.last - spike.evidence.window.first == timedelta(days=1)


def test_the_first_day_that_is_looked_at_begins_the_baseline_of_yesterday() -> None:
    assert first_day(NOW, LIMITS) == back(8)
    assert first_day(datetime(2026, 3, 9, 23, tzinfo=UTC).astimezone(), LIMITS) == back(8)


@given(completed=counts, failed=counts, before=st.tuples(counts, counts), more=counts)
def test_more_failures_never_stand_out_less(completed: int, failed: int, before: tuple[int, int], more: int) -> None:
    fewer, worse = (only(ran(completed, count, before), "agent:amy_cfo") for count in (failed, failed + more))
    assert gravity(fewer) <= gravity(worse)


@given(completed=counts, failed=counts, before=st.tuples(counts, counts))
def test_an_agent_stands_out_only_with_enough_turns_and_failures(
    completed: int, failed: int, before: tuple[int, int]
) -> None:
    for failing in found(ran(completed, failed, before)):
        assert completed + failed >= LIMITS.failures.least_turns
        assert failed >= LIMITS.failures.least_failed
        assert failing.evidence.value >= LIMITS.failures.least_share


@pytest.mark.parametrize(
    ("today", "before", "severity"),
    [
        ((0, 2), (100, 0), None),  # too few to tell
        ((8, 2), (100, 0), None),
        ((12, 3), (100, 0), "warning"),
        ((12, 3), (80, 20), None),  # as often as ever
        ((12, 3), (0, 0), "info"),  # nothing to compare with
        ((3, 3), (0, 0), "critical"),
        ((3, 3), (50, 50), "critical"),  # half of all is never well
    ],
)
def test_failures_are_held_against_a_bound_and_against_the_days_before(
    today: tuple[int, int], before: tuple[int, int], severity: Severity | None
) -> None:
    failing = only(ran(*today, before), "agent:amy_cfo")
    assert (failing.severity if failing else None) == severity


def test_a_failing_agent_tells_what_was_measured() -> None:
    failing = only(ran(12, 4, (95, 5)), "agent:amy_cfo")
    assert failing is not None
    assert (failing.evidence.metric, failing.evidence.value) == ("failed_share", Decimal("0.25"))
    assert failing.evidence.baseline == Decimal("0.05")
    assert failing.title == "4 of 16 turns of amy_cfo failed on 2026-03-09 (25%; 5% on the days before)"


@given(waited=spans, more=spans, whole=st.none() | spans, risk=st.sampled_from(["low", "medium", "high", "critical"]))
def test_a_longer_wait_never_stands_out_less(
    waited: timedelta, more: timedelta, whole: timedelta | None, risk: str
) -> None:
    sooner, later = (only(waits(span, whole, risk), "approval:approval_1") for span in (waited, waited + more))
    assert gravity(sooner) <= gravity(later)


@pytest.mark.parametrize(
    ("waited", "whole", "severity"),
    [
        (timedelta(minutes=29), timedelta(hours=1), None),
        (timedelta(minutes=30), timedelta(hours=1), "warning"),
        (timedelta(minutes=54), timedelta(hours=1), "critical"),
        (timedelta(hours=2), timedelta(hours=1), "critical"),
        (timedelta(hours=23), timedelta(days=7), None),
        (timedelta(hours=24), timedelta(days=7), "warning"),
        (timedelta(hours=24), None, "warning"),
        (timedelta(days=4), None, "critical"),
        (timedelta(seconds=59), timedelta(seconds=60), None),
    ],
)
def test_a_decision_is_stuck_after_half_of_its_time_or_a_day(
    waited: timedelta, whole: timedelta | None, severity: Severity | None
) -> None:
    stuck = only(waits(waited, whole), "approval:approval_1")
    assert (stuck.severity if stuck else None) == severity


def test_a_decision_of_low_risk_is_told_more_quietly() -> None:
    stuck = only(waits(timedelta(minutes=30), timedelta(hours=1), "low"), "approval:approval_1")
    assert stuck is not None
    assert (stuck.severity, stuck.evidence.value, stuck.evidence.baseline) == ("info", 1800, 1800)
    assert stuck.title == ("approval_1 (low risk) has waited 30 min for a decision; it expires at 2026-03-09 16:00 UTC")


@given(running=spans, more=spans, kind=kinds, usual=st.none() | st.tuples(counts, st.floats(0, 1e6)))
def test_a_longer_run_never_stands_out_less(
    running: timedelta, more: timedelta, kind: RunKind, usual: tuple[int, float] | None
) -> None:
    subject = f"{kind}:session_1#2"
    sooner, later = (only(runs(span, kind, usual), subject) for span in (running, running + more))
    assert gravity(sooner) <= gravity(later)


@pytest.mark.parametrize(
    ("running", "usual", "severity"),
    [
        (timedelta(seconds=59), (100, 1.0), None),  # long for one that takes a second, and not long at all
        (timedelta(seconds=60), (100, 1.0), "warning"),
        (timedelta(seconds=89), (100, 30.0), None),
        (timedelta(seconds=90), (100, 30.0), "warning"),
        (timedelta(minutes=14), (19, 1.0), None),  # nothing to compare with yet
        (timedelta(minutes=15), None, "critical"),
        (timedelta(minutes=15), (100, 3600.0), "critical"),
    ],
)
def test_a_run_is_slow_beside_those_that_finished_or_by_its_bound(
    running: timedelta, usual: tuple[int, float] | None, severity: Severity | None
) -> None:
    slow = only(runs(running, usual=usual), "turn:session_1#2")
    assert (slow.severity if slow else None) == severity


def test_a_slow_run_tells_what_was_measured() -> None:
    slow = only(runs(timedelta(minutes=5), usual=(400, 7.25)), "turn:session_1#2")
    assert slow is not None
    assert (slow.evidence.metric, slow.evidence.value, slow.evidence.baseline) == ("running_s", 300, Decimal("7.25"))
    assert slow.title == (
        "Turn 2 of session_1 has been running for 5 min; 95 % of the 400 finished ones took 7.2 s at most"
    )


def test_an_id_follows_from_kind_subject_and_window() -> None:
    first, again = (only(spent(["1"] * 7, today), "platform") for today in ("5", "9"))
    assert first is not None
    assert again is not None
    assert (first.id, first.severity) != (again.id, again.severity)
    assert first.id == again.id
    tomorrow = replace(spent(["1"] * 7, "5"), now=NOW + timedelta(days=1))
    assert {it.id for it in found(tomorrow)} == {it.id for it in found(spent(["1"] * 7, "5"))}


@given(
    costs=st.lists(st.builds(DayCost, st.dates(back(9), TODAY), st.sampled_from("abc"), dollars), max_size=30),
    turns=st.lists(st.builds(DayTurns, st.dates(back(9), TODAY), st.sampled_from("abc"), counts, counts), max_size=20),
)
def test_the_gravest_comes_first_and_every_id_once(costs: list[DayCost], turns: list[DayTurns]) -> None:
    facts = Facts(NOW, costs=tuple(costs), turns=tuple(turns))
    listed = found(facts)
    assert [gravity(it) for it in listed] == sorted((gravity(it) for it in listed), reverse=True)
    assert len({it.id for it in listed}) == len(listed)
    shuffled = Facts(NOW, costs=tuple(reversed(costs)), turns=tuple(reversed(turns)))
    assert found(shuffled) == listed
