"""Service of objectives and rate limits."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from api.governance.slo_schemas import (
    AlertRecord,
    BurnRate,
    ClassFigures,
    Consumer,
    Objective,
    RateLimitStatus,
    SloAlert,
    SloMetrics,
    SloReport,
)
from api.http.caller import Caller
from domain.errors import Unavailable
from domain.governance.objectives import (
    BURN_RULES,
    MIN_BAD,
    PERIOD_S,
    BurnRule,
    Indicator,
    Objectives,
    WindowCounts,
    burn_rate,
    conditions,
    current_value,
    describe,
    percentile,
)
from domain.governance.ports import AlertReads, RateLimitReads, SloReads
from domain.governance.projection import SloAlertRow

Windows = Mapping[int, WindowCounts]
_MOST_OPEN = 100
_MOST_CONSUMERS = 20
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The rate limit's buckets, with the limit in requests and seconds; None where it is off."""

    reads: RateLimitReads
    limit: tuple[int, int] | None


class SloService:
    """Reports objectives, alerts and rate limits."""

    def __init__(
        self,
        reads: SloReads,
        alerts: AlertReads,
        objectives: Objectives,
        rate_limits: RateLimits,
        now: Callable[[], datetime],
    ) -> None:
        self._reads = reads
        self._alerts = alerts
        self._objectives = objectives
        self._rate_limits = rate_limits
        self._now = now

    def report(self, caller: Caller) -> SloReport:
        """Return the objectives of the deployment for an operator, else those of the caller's tenant."""
        is_operator = "admin" in caller.scopes
        windows = self._reads.windows(self._now(), None if is_operator else caller.tenant_id)
        period = windows[PERIOD_S]
        indicators: tuple[Indicator, ...] = ("availability", "response_time", "error_rate")
        return SloReport(
            slo_metrics=self._metrics(period),
            alerts=self._open_alerts(windows) if is_operator else self._tenant_alerts(windows),
            scope="deployment" if is_operator else "tenant",
            http_requests=period.ratio("availability", self._objectives)[1],
            ended_turns=period.turns,
            objectives=[self._objective(indicator, windows) for indicator in indicators],
            classes=[
                ClassFigures.model_validate(
                    {
                        "name": name,
                        "http_requests": counts.requests,
                        "failed": counts.failed,
                        "response_time_p95": _round(percentile(counts.buckets, 0.95)),
                    }
                )
                for name, counts in sorted(period.classes.items())
            ],
        )

    def alerts(self, *, is_open: bool | None, skip: int, limit: int) -> tuple[list[AlertRecord], int]:
        """Return a page of alerts, and the number of all."""
        found = self._alerts.page(is_open=is_open, skip=skip, limit=limit)
        return [_to_record(row) for row in found.alerts], found.total

    async def rate_limit(self, bucket: str, caller: Caller) -> RateLimitStatus:
        """Return the caller's bucket, and for an operator those with most tokens in use."""
        limit = self._rate_limits.limit
        if limit is None:
            return _status_without_limit()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                verdict = await self._rate_limits.reads.peek(bucket)
                busiest = await self._rate_limits.reads.busiest(_MOST_CONSUMERS) if "admin" in caller.scopes else None
        except (Unavailable, TimeoutError):
            return _status_without_valkey(limit)
        consumers = [Consumer(caller=each.bucket, used=each.used, reset=each.full_at) for each in busiest or ()]
        return RateLimitStatus(
            enabled=True,
            shared=True,
            limit=limit[0],
            window_s=limit[1],
            remaining=verdict.remaining if verdict else None,
            reset=verdict.full_at if verdict else None,
            top_consumers=None if busiest is None else consumers,
        )

    def _metrics(self, period: WindowCounts) -> SloMetrics:
        failed, requests = period.ratio("availability", self._objectives)
        return SloMetrics(
            availability=_percent(requests - failed, requests),
            response_time_p95=_round(period.p95()),
            error_rate=_percent(period.failed_turns, period.turns),
        )

    def _objective(self, indicator: Indicator, windows: Windows) -> Objective:
        objectives = self._objectives
        bad, events = windows[PERIOD_S].ratio(indicator, objectives)
        targets = {
            "availability": objectives.availability,
            "response_time": objectives.response_time_s,
            "error_rate": objectives.error_rate,
        }
        used = burn_rate(windows[PERIOD_S], indicator, objectives)
        return Objective(
            indicator=indicator,
            target=targets[indicator],
            events=events,
            bad=bad,
            allowed=round(objectives.allowed_share(indicator), _DIGITS),
            budget_left=round(1 - used, _DIGITS) if events else None,
            burn_rates=[self._burn(rule, indicator, windows) for rule in BURN_RULES],
        )

    def _burn(self, rule: BurnRule, indicator: Indicator, windows: Windows) -> BurnRate:
        long, short = (burn_rate(windows[each], indicator, self._objectives) for each in (rule.long_s, rule.short_s))
        bad, _ = windows[rule.long_s].ratio(indicator, self._objectives)
        return BurnRate(
            windows=rule.name,
            long=round(long, _DIGITS),
            short=round(short, _DIGITS),
            threshold=rule.factor,
            alarming=bad >= MIN_BAD and min(long, short) > rule.factor,
        )

    def _open_alerts(self, windows: Windows) -> list[SloAlert]:
        """Return the alerts that are open, with the figures of now."""
        found = self._alerts.page(is_open=True, skip=0, limit=_MOST_OPEN).alerts
        return [_to_alert(row, current_value(windows, self._objectives, row.indicator, row.rule)) for row in found]

    def _tenant_alerts(self, windows: Windows) -> list[SloAlert]:
        """Return what is alarming now in the figures of one tenant."""
        return [
            SloAlert(
                type=each.severity,
                message=describe(each.indicator, each.rule, is_over=each.current > each.threshold),
                threshold=each.threshold,
                current=round(each.current, _DIGITS),
                id=None,
                indicator=each.indicator,
                rule=each.rule,
                opened_at=None,
            )
            for each in conditions(windows, self._objectives)
        ]


_PATIENCE_S = 2.0


def _to_alert(row: SloAlertRow, current: float) -> SloAlert:
    return SloAlert(
        type=row.severity,
        message=describe(row.indicator, row.rule, is_over=current > row.threshold),
        threshold=row.threshold,
        current=round(current, _DIGITS),
        id=row.alert_id,
        indicator=row.indicator,
        rule=row.rule,
        opened_at=row.opened_at,
    )


def _to_record(row: SloAlertRow) -> AlertRecord:
    return AlertRecord(
        id=row.alert_id,
        type=row.severity,
        indicator=row.indicator,
        rule=row.rule,
        message=describe(row.indicator, row.rule, is_over=row.opened_value > row.threshold),
        threshold=row.threshold,
        status="open" if row.closed_at is None else "closed",
        opened_value=round(row.opened_value, _DIGITS),
        opened_at=row.opened_at,
        closed_value=None if row.closed_value is None else round(row.closed_value, _DIGITS),
        closed_at=row.closed_at,
    )


def _status_without_limit() -> RateLimitStatus:
    return RateLimitStatus(
        enabled=False, shared=False, limit=None, window_s=None, remaining=None, reset=None, top_consumers=None
    )


def _status_without_valkey(limit: tuple[int, int]) -> RateLimitStatus:
    return RateLimitStatus(
        enabled=True, shared=False, limit=limit[0], window_s=limit[1], remaining=None, reset=None, top_consumers=None
    )


def _percent(part: int, total: int) -> float | None:
    return round(100 * part / total, _DIGITS) if total else None


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, _DIGITS)
