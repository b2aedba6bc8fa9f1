"""Events of the circuit of a model at a provider. Its stream is `circuit:<provider>/<model>`."""

from pydantic import AwareDatetime

from domain.events import Event


class CircuitOpened(Event):
    """Calls are refused from now on, until `retry_at`: `failures` of the last `calls` within `window_s` seconds failed.

    `error` is the kind of the last failure. `openings` counts how often it opened without closing in between: after a
    failed probe it opens for longer. `calls` is 1 after a probe.
    """

    NAME = "provider.circuit_opened"

    provider: str
    model: str
    calls: int
    failures: int
    window_s: float
    error: str
    openings: int
    retry_at: AwareDatetime


class CircuitHalfOpened(Event):
    """One call is let through as a probe. If it has no end by `retry_at`, another one is."""

    NAME = "provider.circuit_half_opened"

    provider: str
    model: str
    openings: int
    retry_at: AwareDatetime


class CircuitClosed(Event):
    """The probe was answered: calls are sent again."""

    NAME = "provider.circuit_closed"

    provider: str
    model: str


EVENTS: tuple[type[Event], ...] = (CircuitOpened, CircuitHalfOpened, CircuitClosed)
