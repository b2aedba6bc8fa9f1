"""Events of alerts on service level objectives. The stream is `slo_alert:<indicator>:<rule>`."""

from domain.events import Event
from domain.governance.objectives import Indicator, Severity


class SloAlertOpened(Event):
    """A rule has begun to hold: `current` has passed `threshold`, both burn rates or, of the rule `30d`, seconds."""

    NAME = "governance.slo_alert_opened"

    alert_id: str
    indicator: Indicator
    rule: str
    severity: Severity
    threshold: float
    current: float


class SloAlertClosed(Event):
    """The rule holds no more."""

    NAME = "governance.slo_alert_closed"

    alert_id: str
    indicator: Indicator
    rule: str
    current: float


EVENTS: tuple[type[Event], ...] = (SloAlertOpened, SloAlertClosed)
