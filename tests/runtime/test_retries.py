"""No activity is tried for ever: each has a policy with an end, and a fault of ours ends it sooner."""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

import workflows
from activities.interceptor import MOST_TRIES, RefusalInterceptor
from domain.errors import NotFound, Unavailable
from workflows.timeouts import LEDGER_RETRY

_HERE = Path(workflows.__file__).parent
_STARTS = {
    "execute_activity",
    "execute_activity_method",
    "execute_local_activity",
    "execute_local_activity_method",
    "start_activity",
    "start_activity_method",
    "start_local_activity",
    "start_local_activity_method",
}


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(_HERE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _STARTS:
                yield f"{'.'.join(path.relative_to(_HERE).with_suffix('').parts)}:{node.lineno}", node


CALLS = dict(_calls())


@pytest.mark.parametrize("place", CALLS)
def test_every_activity_that_a_workflow_asks_for_has_an_end(place: str) -> None:
    given = {word.arg: word.value for word in CALLS[place].keywords}
    if "schedule_to_close_timeout" in given:
        return
    policy = given["retry_policy"]
    assert isinstance(policy, ast.Name), "a policy without an end needs schedule_to_close_timeout"
    module = importlib.import_module(f"workflows.{place.partition(':')[0]}")
    assert getattr(module, policy.id).maximum_attempts > 0


def test_work_of_the_ledger_is_tried_for_more_than_a_day() -> None:
    longest = LEDGER_RETRY.maximum_interval
    assert longest is not None
    assert 24 * 3600 < longest.total_seconds() * LEDGER_RETRY.maximum_attempts < 7 * 24 * 3600


class _Raises(ActivityInboundInterceptor):
    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  (as it is upstream)
        raise self._error


@activity.defn
async def work() -> None:
    """Never reached."""


async def _raised(error: BaseException, attempt: int) -> BaseException:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    inbound = RefusalInterceptor().intercept_activity(_Raises(error))
    given = ExecuteActivityInput(fn=work, args=[], executor=None, headers={})
    with pytest.raises(Exception) as found:  # noqa: PT011  (what it is, is the question)
        await environment.run(inbound.execute_activity, given)
    return found.value


FAULTS: list[Exception] = [
    RecursionError("secret"),
    TypeError("secret"),
    LookupError("secret"),
    ValueError("secret"),
    MemoryError("secret"),
    AssertionError("secret"),
    UnicodeEncodeError("utf-8", "secret", 0, 1, "secret"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_a_fault_of_ours_is_tried_some_times_and_then_it_is_the_end(fault: Exception) -> None:
    early, late = await _raised(fault, MOST_TRIES - 1), await _raised(fault, MOST_TRIES)
    assert isinstance(early, ApplicationError)
    assert isinstance(late, ApplicationError)
    assert (early.non_retryable, late.non_retryable) == (False, True)
    assert late.type == "INTERNAL_ERROR"
    assert "secret" not in str(late)
    assert late.__cause__ is None


@pytest.mark.parametrize(
    "away", [Unavailable("away"), ConnectionError("away"), RPCError("away", RPCStatusCode.UNAVAILABLE, b"")], ids=str
)
async def test_what_is_away_is_tried_as_long_as_its_policy_says(away: Exception) -> None:
    raised = await _raised(away, MOST_TRIES * 100)
    assert not (isinstance(raised, ApplicationError) and raised.non_retryable)


async def test_a_refusal_is_an_end_at_once() -> None:
    raised = await _raised(NotFound("gone"), 1)
    assert isinstance(raised, ApplicationError)
    assert raised.non_retryable
