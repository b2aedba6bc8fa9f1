"""The page on Ali has the thresholds of the code."""

import re

from api.ali.service import READING_TOOLS
from domain.ali.thresholds import Thresholds
from tests.servers import ROOT

PAGE = (ROOT / "docs/ali.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE))
LIMITS = Thresholds()


def test_the_table_names_the_bounds_of_costs() -> None:
    limits, row = LIMITS.costs, ROWS["cost_spike"]
    assert f"mean of the {LIMITS.baseline_days} days before" in row
    assert f"dearer by ${limits.least_rise_platform} (an agent: ${limits.least_rise_agent})" in row
    assert f"Needs {limits.least_days} days" in row
    ratios = f"`info` from {limits.info_ratio} times, `warning` from {limits.warning_ratio}, `critical` from "
    assert f"{ratios}{limits.critical_ratio}" in row


def test_the_table_names_the_bounds_of_failures() -> None:
    limits, row = LIMITS.failures, ROWS["failing_agent"]
    assert f"at least {limits.least_turns} turns ended and {limits.least_failed} failed" in row
    assert (float(limits.critical_share), float(limits.least_share), limits.ratio) == (1 / 2, 1 / 5, 2)
    assert "`critical` from half of them; from a fifth, `warning` if that is twice the share" in row
    assert f"fewer than {limits.least_turns} turns" in row


def test_the_table_names_the_bounds_of_approvals() -> None:
    limits, row = LIMITS.approvals, ROWS["stuck_approval"]
    assert (limits.stuck_part, limits.critical_part) == (1 / 2, 9 / 10)
    assert f"half of its time to expiry, or for {limits.bound.total_seconds() / 3600:.0f} hours" in row
    assert f"nine tenths of its time, or {limits.critical_bound.total_seconds() / 3600:.0f} hours" in row


def test_the_table_names_the_bounds_of_slow_runs() -> None:
    turn, swarm, row = LIMITS.slowness["turn"], LIMITS.slowness["swarm"], ROWS["slow_run"]
    assert (turn.ratio, swarm.ratio, turn.least_finished, swarm.least_finished) == (3, 3, 20, 20)
    assert "three times as long" in row
    assert "if there were 20" in row
    assert f"longer than {turn.least.seconds // 60} minute (a swarm: {swarm.least.seconds // 60})" in row
    assert f"after {turn.bound.seconds // 60} minutes (a swarm: {swarm.bound.seconds // 3600} hours)" in row


def test_the_tools_of_a_question_are_named() -> None:
    assert all(f"`{name}`" in PAGE for name in READING_TOOLS)
