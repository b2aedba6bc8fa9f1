"""Insights and their evidence."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from domain.ids import derived_id

Kind = Literal["cost_spike", "failing_agent", "stuck_approval", "slow_run"]
Severity = Literal["info", "warning", "critical"]
Metric = Literal["cost_usd", "failed_share", "waiting_s", "running_s"]


@dataclass(frozen=True, slots=True)
class Window:
    """The time span of an insight."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """A measurement. `baseline` is the value it is compared with; None where there is none."""

    metric: Metric
    value: Decimal
    baseline: Decimal | None
    window: Window


@dataclass(frozen=True, slots=True)
class Insight:
    """A finding of a rule. The same finding has the same id, which follows from kind, subject and window."""

    id: str
    kind: Kind
    severity: Severity
    subject: str
    title: str
    evidence: Evidence
    detected_at: datetime


def make_insight(
    kind: Kind, subject: str, severity: Severity, *, title: str, evidence: Evidence, now: datetime
) -> Insight:
    """Build the insight with its derived id."""
    name = derived_id("insight", kind, subject, evidence.window.first.astimezone(UTC).isoformat())
    return Insight(f"insight_{name}", kind, severity, subject, title, evidence, now)
