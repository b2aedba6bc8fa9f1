"""The rules of circuits and of the next model, without anything around them."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.chat.policy import MOST_FAILURES
from domain.events import Cause, Event
from domain.providers import circuit as circuits
from domain.providers.circuit import Circuit, CircuitRule, Outcomes, circuit_after, outcome_of
from domain.providers.fallback import is_for_next_model, models_left
from runtime.setting_values import CircuitTrip

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
RULE = CircuitRule(0.5, 20, 60.0, 30.0)


def cause(seconds: float = 0) -> Cause:
    return Cause("platform", "circuit", NOW + timedelta(seconds=seconds), "default")


def after(version: int, event: Event) -> Circuit:
    return circuit_after("p", "m", version, event)


@pytest.mark.parametrize(
    ("calls", "failures", "trips"), [(20, 10, True), (20, 9, False), (19, 19, False), (1000, 500, True), (0, 0, False)]
)
def test_it_opens_on_the_error_rate_of_enough_calls(calls: int, failures: int, *, trips: bool) -> None:
    assert Outcomes(calls, failures).trips(RULE) is trips


def test_it_refuses_until_a_probe_is_due_and_closes_when_that_is_answered() -> None:
    closed = Circuit("p", "m")
    assert closed.admission(NOW) == "pass"
    opened = after(1, circuits.open_circuit(closed, Outcomes(20, 15), "unavailable", RULE, cause()))
    assert [opened.admission(NOW + timedelta(seconds=at)) for at in (0, 29, 30)] == ["refuse", "refuse", "probe"]
    probed = after(2, circuits.half_open_circuit(opened, cause(30)))
    assert (probed.state, probed.admission(NOW + timedelta(seconds=31))) == ("half_open", "refuse")
    assert after(3, circuits.close_circuit(probed, cause(32))).admission(NOW) == "pass"


def test_a_probe_without_an_end_is_followed_by_another() -> None:
    opened = after(1, circuits.open_circuit(Circuit("p", "m"), Outcomes(20, 15), "cut", RULE, cause()))
    probed = after(2, circuits.half_open_circuit(opened, cause(30)))
    assert probed.admission(NOW + timedelta(seconds=30 + circuits.PROBE_S)) == "probe"


def test_each_failed_probe_opens_it_for_longer() -> None:
    circuit, times = Circuit("p", "m"), []
    for version in range(1, 8):
        event = circuits.open_circuit(circuit, Outcomes(1, 1), "timeout", RULE, cause())
        times.append((event.retry_at - NOW).total_seconds())
        circuit = after(version, event)
    assert times == [30, 60, 120, 240, 300, 300, 300]


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        (None, "succeeded"),
        *((kind, "failed") for kind in ("unreachable", "timeout", "cut", "unavailable", "refused_key", "out_of_quota")),
        *((kind, "succeeded") for kind in ("bad_request", "too_long", "unsupported")),
        ("rate_limited", None),
        ("not_found", None),
    ],
)
def test_what_a_failure_says_about_the_provider(kind: str | None, outcome: str | None) -> None:
    assert outcome_of(kind) == outcome


@pytest.mark.parametrize(
    ("kind", "retry_after", "goes_on"),
    [
        ("refused_key", None, True),
        ("out_of_quota", None, True),
        ("not_found", None, True),
        ("too_long", None, True),
        ("unsupported", None, True),
        ("bad_request", None, False),
        ("unavailable", None, False),
        ("rate_limited", 30.0, False),
        ("rate_limited", 3600.0, True),
    ],
)
def test_a_call_goes_on_to_the_next_model_if_its_refusal_will_not_pass(
    kind: str, retry_after: float | None, *, goes_on: bool
) -> None:
    assert is_for_next_model(kind, retry_after) is goes_on


def test_models_that_failed_for_good_are_left_out_and_the_last_one_stays() -> None:
    failures = {"a": ["cut"] * MOST_FAILURES, "b": ["not_found"], "c": ["too_long", "unavailable"]}
    assert models_left(("a", "b", "c"), failures, MOST_FAILURES) == ["c"]
    assert models_left(("a", "b"), failures, MOST_FAILURES) == ("b",)


@pytest.mark.parametrize("text", ["50/20/60", "0%/20/60", "101%/20/60", "50%/0/60", "50%/20/0", "50%/20", "half"])
def test_a_rule_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="use"):
        CircuitTrip.parse(text)


def test_the_rule_is_read_as_it_is_written() -> None:
    assert CircuitTrip.parse("50%/20/60") == (0.5, 20, 60.0)
    assert CircuitTrip.parse(" 12.5 % / 5 / 1.5 ") == (0.125, 5, 1.5)
    assert CircuitTrip.parse("off") is None
