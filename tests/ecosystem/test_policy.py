"""The rule that judges agents."""

import pytest

from domain.ecosystem.policy import HealthRule, judge
from domain.ecosystem.ports import AgentActivity

RULE = HealthRule()


@pytest.mark.parametrize(
    ("completed", "failed", "p95", "status", "codes"),
    [
        (0, 0, None, "healthy", ["NO_TURNS"]),
        (20, 1, 2.0, "healthy", []),
        (19, 1, 30.0, "healthy", []),
        (18, 1, 2.0, "degraded", ["LOW_SUCCESS_RATE"]),
        (1, 1, 2.0, "degraded", ["LOW_SUCCESS_RATE"]),
        (0, 1, None, "degraded", ["LOW_SUCCESS_RATE"]),
        (0, 2, None, "degraded", ["LOW_SUCCESS_RATE"]),
        (0, 3, None, "failed", ["LOW_SUCCESS_RATE"]),
        (2, 2, 1.0, "degraded", ["LOW_SUCCESS_RATE"]),
        (2, 3, 1.0, "failed", ["LOW_SUCCESS_RATE"]),
        (3, 0, 30.1, "degraded", ["SLOW"]),
        (2, 0, 30.1, "healthy", []),
        (3, 4, 31.0, "failed", ["LOW_SUCCESS_RATE", "SLOW"]),
    ],
)
def test_an_agent_is_judged_by_its_share_of_successes_and_its_times(
    completed: int, failed: int, p95: float | None, status: str, codes: list[str]
) -> None:
    found = judge(AgentActivity(completed, failed, p95), RULE, is_deployed=True, is_model_failing=False)
    assert (found.status, [reason.code for reason in found.reasons]) == (status, codes)
    assert found.measured is (completed + failed > 0)


def test_an_agent_whose_model_fails_is_degraded_even_if_it_did_nothing_itself() -> None:
    found = judge(AgentActivity(), RULE, is_deployed=True, is_model_failing=True)
    assert (found.status, found.measured) == ("degraded", False)
    assert [reason.code for reason in found.reasons] == ["MODEL_FAILING", "NO_TURNS"]


def test_an_agent_that_is_not_deployed_is_inactive_whatever_it_did() -> None:
    found = judge(AgentActivity(0, 9), RULE, is_deployed=False, is_model_failing=True)
    assert (found.status, found.measured, [reason.code for reason in found.reasons]) == (
        "inactive",
        True,
        ["NOT_DEPLOYED"],
    )


def test_a_reason_tells_the_value_and_the_limit_it_is_compared_with() -> None:
    activity = AgentActivity(3, 9, 45.0)
    low, slow = judge(activity, RULE, is_deployed=True, is_model_failing=False).reasons
    assert (low.value, low.limit, low.message) == (0.25, 0.5, "9 of 12 turns failed")
    assert (slow.value, slow.limit) == (45.0, 30.0)
