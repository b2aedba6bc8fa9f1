"""Alerts on service level objectives: one rule on one indicator has one open alert at most."""

from collections.abc import Iterator, Mapping

from domain.events import Cause, Event
from domain.governance.events import SloAlertClosed, SloAlertOpened
from domain.governance.objectives import (
    BURN_RULES,
    NEAR_RULE,
    Condition,
    Indicator,
    Objectives,
    WindowCounts,
    conditions,
    current_value,
)
from domain.ids import derived_hex
from domain.ledger import Change, Ledger, retry_on_conflict

_INDICATORS: tuple[Indicator, ...] = ("availability", "response_time", "error_rate")


def watched_rules() -> Iterator[tuple[Indicator, str]]:
    """Yield every indicator with every rule on it."""
    for indicator in _INDICATORS:
        for rule in BURN_RULES:
            yield indicator, rule.name
    yield "response_time", NEAR_RULE


def stream(indicator: Indicator, rule: str) -> str:
    return f"slo_alert:{indicator}:{rule}"


class AlertCommands:
    """Opens and closes alerts, in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def evaluate(self, windows: Mapping[int, WindowCounts], objectives: Objectives, cause: Cause) -> int:
        """Open and close alerts by what is alarming now. Returns the number of changes.

        Raises:
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        alarming = {(each.indicator, each.rule): each for each in conditions(windows, objectives)}
        changed = 0
        for indicator, rule in watched_rules():
            now = current_value(windows, objectives, indicator, rule)
            changed += self._settle(indicator, rule, alarming.get((indicator, rule)), now, cause)
        return changed

    def _settle(self, indicator: Indicator, rule: str, found: Condition | None, now: float, cause: Cause) -> bool:
        name = stream(indicator, rule)

        def write() -> bool:
            version, latest = self._ledger.read_latest(name)
            event: Event
            if isinstance(latest, SloAlertOpened) and found is None:
                event = SloAlertClosed(
                    alert_id=latest.alert_id, indicator=indicator, rule=rule, current=now, **cause.fields()
                )
            elif not isinstance(latest, SloAlertOpened) and found is not None:
                event = SloAlertOpened(
                    alert_id=f"alert_{derived_hex('slo_alert', name, version)}",
                    indicator=indicator,
                    rule=rule,
                    severity=found.severity,
                    threshold=found.threshold,
                    current=found.current,
                    **cause.fields(),
                )
            else:
                return False
            return self._ledger.append(Change(name, version, [event]), key=f"{name}:{version + 1}") is not None

        return retry_on_conflict(write)
