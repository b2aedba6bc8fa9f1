"""The circuit of a model at a provider: closed, open, or half open, by the last event of its stream."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.events import Cause, Event
from domain.providers.events import CircuitClosed, CircuitHalfOpened, CircuitOpened

CircuitState = Literal["closed", "open", "half_open"]
Admission = Literal["pass", "probe", "refuse"]
Outcome = Literal["succeeded", "failed"]

STREAM_PREFIX = "circuit:"
PROBE_S = 60.0
"""Seconds for which a probe is waited for before another call is let through as one."""
_LONGEST_FACTOR = 10
_FAILED = frozenset(
    {"unreachable", "timeout", "cut", "unavailable", "unreadable", "refused_key", "out_of_quota", "wrong_path"}
)
_NEITHER = frozenset({"rate_limited", "not_found"})


@dataclass(frozen=True, slots=True)
class CircuitRule:
    """Opens if `error_rate` of at least `least_calls` calls within `window_s` seconds failed, for `open_s` seconds.

    After each failed probe it opens for twice as long, and for ten times `open_s` at most.
    """

    error_rate: float = 0.5
    least_calls: int = 20
    window_s: float = 60.0
    open_s: float = 30.0

    def open_time(self, openings: int) -> timedelta:
        """Return how long it stays open at this opening in a row, counted from 1."""
        factor = 2 ** min(openings - 1, _LONGEST_FACTOR)
        return timedelta(seconds=self.open_s * min(factor, _LONGEST_FACTOR))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The calls of a window that ended, and those of them that failed."""

    calls: int
    failures: int

    def trips(self, rule: CircuitRule) -> bool:
        """Return True if the circuit opens."""
        return self.calls >= rule.least_calls and self.failures >= rule.error_rate * self.calls


@dataclass(frozen=True, slots=True)
class Circuit:
    """The circuit of a model. `retry_at` is set unless it is closed: the moment from which a probe is let through."""

    provider: str
    model: str
    version: int = 0
    state: CircuitState = "closed"
    openings: int = 0
    retry_at: datetime | None = None

    def admission(self, now: datetime) -> Admission:
        """Return whether a call passes, passes as the probe, or is refused."""
        if self.retry_at is None:
            return "pass"
        return "probe" if now >= self.retry_at else "refuse"


def stream(provider: str, model: str) -> str:
    return f"{STREAM_PREFIX}{provider}/{model}"


def circuit_after(provider: str, model: str, version: int, latest: Event | None) -> Circuit:
    """Return the circuit after its last event, which is number `version` of its stream."""
    match latest:
        case CircuitOpened(openings=openings, retry_at=retry_at):
            return Circuit(provider, model, version, "open", openings, retry_at)
        case CircuitHalfOpened(openings=openings, retry_at=retry_at):
            return Circuit(provider, model, version, "half_open", openings, retry_at)
        case _:
            return Circuit(provider, model, version)


def outcome_of(failure: str | None) -> Outcome | None:
    """Return the outcome of a call by the kind of its failure; None if it says nothing about the provider's health.

    A provider that refuses a request for what the request is, has answered. One that asks for a slower rate, or does
    not know the model, says neither.
    """
    if failure in _NEITHER:
        return None
    return "failed" if failure in _FAILED else "succeeded"


def open_circuit(circuit: Circuit, seen: Outcomes, error: str, rule: CircuitRule, cause: Cause) -> CircuitOpened:
    """Open it, for the first time or again after its probe failed."""
    openings = circuit.openings + 1
    return CircuitOpened(
        provider=circuit.provider,
        model=circuit.model,
        calls=seen.calls,
        failures=seen.failures,
        window_s=rule.window_s,
        error=error,
        openings=openings,
        retry_at=cause.at + rule.open_time(openings),
        **cause.fields(),
    )


def half_open_circuit(circuit: Circuit, cause: Cause) -> CircuitHalfOpened:
    """Let a probe through."""
    return CircuitHalfOpened(
        provider=circuit.provider,
        model=circuit.model,
        openings=circuit.openings,
        retry_at=cause.at + timedelta(seconds=PROBE_S),
        **cause.fields(),
    )


def close_circuit(circuit: Circuit, cause: Cause) -> CircuitClosed:
    """Close it after a probe was answered."""
    return CircuitClosed(provider=circuit.provider, model=circuit.model, **cause.fields())
