"""The rule that judges an agent by its turns in a window."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from domain.ecosystem.ports import AgentActivity

WindowName = Literal["15m", "1h", "6h", "24h"]
WINDOWS: dict[WindowName, timedelta] = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
}
Status = Literal["healthy", "degraded", "failed", "inactive"]
ReasonCode = Literal["NOT_DEPLOYED", "NO_TURNS", "LOW_SUCCESS_RATE", "SLOW", "MODEL_FAILING", "CIRCUIT_OPEN"]


@dataclass(frozen=True, slots=True)
class HealthRule:
    """The limits of health; times are seconds.

    An agent is `failed` below `failed_below`, once `least_turns` turns have ended; `degraded` below `degraded_below`,
    whatever their number, or if its 95th percentile of response times is above `slow_above_s` in `least_turns` turns,
    or if the last `model_streak` attempts at calls of its model all failed, or the model's circuit is open.
    """

    least_turns: int = 3
    failed_below: float = 0.5
    degraded_below: float = 0.95
    slow_above_s: float = 30.0
    model_streak: int = 5


@dataclass(frozen=True, slots=True)
class HealthReason:
    """A reason of a status, with the measured value and the limit it is compared with, where there are such."""

    code: ReasonCode
    message: str
    value: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class AgentHealth:
    """The status of an agent. `measured` is False if none of its turns ended in the window."""

    status: Status
    measured: bool
    reasons: tuple[HealthReason, ...]


def judge(
    activity: AgentActivity,
    rule: HealthRule,
    *,
    is_deployed: bool,
    is_model_failing: bool,
    is_circuit_open: bool = False,
) -> AgentHealth:
    """Return the health of an agent. One that did nothing is healthy, as nothing speaks against it."""
    measured = activity.ended_turns > 0
    if not is_deployed:
        return AgentHealth("inactive", measured, (HealthReason("NOT_DEPLOYED", "no version is deployed"),))
    found = list(_problems(activity, rule, is_model_failing=is_model_failing))
    if is_circuit_open:
        found.append(HealthReason("CIRCUIT_OPEN", "no calls are sent to its model for now: too many failed"))
    if not measured:
        found.append(HealthReason("NO_TURNS", "no turn has ended in the window"))
    rate = activity.success_rate
    if rate is not None and rate < rule.failed_below and activity.ended_turns >= rule.least_turns:
        return AgentHealth("failed", measured, tuple(found))
    is_degraded = any(reason.code != "NO_TURNS" for reason in found)
    return AgentHealth("degraded" if is_degraded else "healthy", measured, tuple(found))


def _problems(activity: AgentActivity, rule: HealthRule, *, is_model_failing: bool) -> Iterator[HealthReason]:
    rate, p95 = activity.success_rate, activity.response_time_p95
    if rate is not None and rate < rule.degraded_below:
        message = f"{activity.failed} of {activity.ended_turns} turns failed"
        is_failed = rate < rule.failed_below and activity.ended_turns >= rule.least_turns
        limit = rule.failed_below if is_failed else rule.degraded_below
        yield HealthReason("LOW_SUCCESS_RATE", message, rate, limit)
    if p95 is not None and p95 > rule.slow_above_s and activity.completed >= rule.least_turns:
        message = f"the 95th percentile of response times is {p95:.1f} s"
        yield HealthReason("SLOW", message, p95, rule.slow_above_s)
    if is_model_failing:
        message = f"the last {rule.model_streak} attempts at calls of its model failed"
        yield HealthReason("MODEL_FAILING", message, None, float(rule.model_streak))
