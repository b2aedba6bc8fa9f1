"""A worker that dies at the worst moments: in a model call, and just after it was paid for."""

import signal

import httpx
import pytest

from tests.chaos.books import assert_books_agree, name
from tests.chaos.conftest import Say
from tests.chaos.whole import Whole, moment, within
from tests.signatures.exported import assert_export_verifies

pytestmark = pytest.mark.prove

AGAIN_WITHIN_S = 12.0


async def test_a_caller_gets_the_answer_though_the_worker_is_killed_in_the_call(system: Whole, measured: Say) -> None:
    saying = await system.in_call("What holds? [[delay 5]]")
    killed = system.signal("worker", signal.SIGKILL)
    response = await within(90, saying)
    assert response.status_code == httpx.codes.OK, response.text
    lost, second = system.model.bill()
    calls = await system.calls()
    assert_books_agree(calls, system.model.bill())
    assert {name(call): call["state"] for call in calls} == {
        lost["request_id"]: "unknown",
        second["request_id"]: "settled",
    }
    took = second["at"] - killed
    measured(
        f"worker killed in mid-call: the provider saw the second attempt after {took:.1f} s"
        f" (promise {AGAIN_WITHIN_S:.0f} s), the caller had its answer after"
        f" {moment(calls[-1]['ended_at']) - killed:.1f} s; books: unknown, settled"
    )
    assert took <= AGAIN_WITHIN_S
    assert await assert_export_verifies(system.http, f"/agents/chat/{response.json()['session_id']}") == 1


async def test_a_settled_call_is_not_made_again_though_its_answer_was_never_reported(
    system: Whole, measured: Say
) -> None:
    saying = await system.in_call("What was paid for? [[delay 3]]")
    with system.frozen("temporal"):  # so the worker can settle, and cannot say so
        await system.until_settled(1)
        killed = system.signal("worker", signal.SIGKILL)
    response = await within(90, saying)
    assert response.status_code == httpx.codes.OK, response.text
    [entry] = system.model.bill()
    [call] = await system.calls()
    assert_books_agree([call], [entry])
    assert call["state"] == "settled"
    assert moment(call["ended_at"]) <= killed
    assert await assert_export_verifies(system.http, f"/agents/chat/{response.json()['session_id']}") == 1
    measured("worker killed between settlement and report: one call on the bill, answered from the ledger")
