"""The thresholds of all rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from domain.ali.ports import RunKind


@dataclass(frozen=True, slots=True)
class CostThresholds:
    """A day that costs far more than the days before it.

    It must exceed their mean by `least_rise_*` US dollars, so that cents do not alarm; then the ratio decides. At least
    `least_days` of the days before must lie at or after the first one that cost anything.
    """

    least_days: int = 3
    least_rise_platform: Decimal = Decimal(1)
    least_rise_agent: Decimal = Decimal("0.50")
    info_ratio: Decimal = Decimal(2)
    warning_ratio: Decimal = Decimal(3)
    critical_ratio: Decimal = Decimal(6)


@dataclass(frozen=True, slots=True)
class FailureThresholds:
    """An agent with too many failed turns on one day.

    From `critical_share` on it is critical. From `least_share` on it is compared with the days before: `ratio` times
    their share is a warning; with fewer than `least_turns` turns in them there is nothing to compare with, which is an
    info.
    """

    least_turns: int = 5
    least_failed: int = 3
    least_share: Decimal = Decimal("0.2")
    critical_share: Decimal = Decimal("0.5")
    ratio: Decimal = Decimal(2)


@dataclass(frozen=True, slots=True)
class ApprovalThresholds:
    """An approval that is open for too long.

    After `stuck_part` of its time to expiry, or after `bound`, whichever is sooner, but never before `least`; critical
    from `critical_part` of its time on, or after `critical_bound`.
    """

    least: timedelta = timedelta(minutes=1)
    stuck_part: float = 0.5
    critical_part: float = 0.9
    bound: timedelta = timedelta(hours=24)
    critical_bound: timedelta = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class SlownessThresholds:
    """A run that takes far longer than its kind: `ratio` times the 95th percentile, and `least` at least.

    The percentile counts once `least_finished` runs have finished. After `bound` a run is slow in any case, and that
    is critical.
    """

    least: timedelta
    bound: timedelta
    ratio: float = 3.0
    least_finished: int = 20


def _slowness() -> Mapping[RunKind, SlownessThresholds]:
    return {
        "turn": SlownessThresholds(least=timedelta(minutes=1), bound=timedelta(minutes=15)),
        "swarm": SlownessThresholds(least=timedelta(minutes=10), bound=timedelta(hours=4)),
    }


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All thresholds. Windows are today and yesterday (UTC); each is compared with the `baseline_days` before it."""

    baseline_days: int = 7
    costs: CostThresholds = field(default_factory=CostThresholds)
    failures: FailureThresholds = field(default_factory=FailureThresholds)
    approvals: ApprovalThresholds = field(default_factory=ApprovalThresholds)
    slowness: Mapping[RunKind, SlownessThresholds] = field(default_factory=_slowness)
