"""What an insight is."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from domain.ids import derived

Kind = Literal["cost_spike", "failing_agent", "stuck_approval", "slow_run"]
Severity = Literal["info", "warning", "critical"]
Metric = Literal["cost_usd", "failed_share", "waiting_s", "running_s"]


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of time that an insight is about."""

    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was measured. `baseline` is what it was held against; None where nothing was known to compare with."""

    metric: Metric
    value: Decimal
    baseline: Decimal | None
    window: Window


@dataclass(frozen=True, slots=True)
class Insight:
    """Something that stands out. What is found again has the same id: it follows from kind, subject and window."""

    id: str
    kind: Kind
    severity: Severity
    subject: str
    title: str
    evidence: Evidence
    detected_at: datetime


def found(kind: Kind, subject: str, severity: Severity, *, title: str, evidence: Evidence, now: datetime) -> Insight:
    """The insight under its id."""
    name = derived("insight", kind, subject, evidence.window.first.astimezone(UTC).isoformat())
    return Insight(f"insight_{name}", kind, severity, subject, title, evidence, now)
