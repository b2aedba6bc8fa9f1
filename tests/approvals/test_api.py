"""Approvals over HTTP, through the whole system."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from activities.approvals.activities import ApprovalActivities
from activities.approvals.messages import ApprovalRequest, ApprovalStart, start_of
from adapters.postgres.projections.rebuild import Rebuild
from api.http.caller import Caller
from domain.approvals import aggregate
from domain.approvals.projection import ApprovalsProjection
from domain.content import Content
from tests.approvals.desk import APPROVALS, TEXT, Desk, desk_of
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, OF_ACME, new_namespace, running, settings_of, until
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.task_queues import WORKFLOW_QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="module")

AS_ADMIN = {"X-API-Key": ADMIN_KEY}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    module_database_url: str, temporal_address: str, valkey_server: str, model_process: ScriptedModel
) -> AsyncIterator[Desk]:
    settings = settings_of(
        database_url=module_database_url,
        temporal_address=temporal_address,
        redis_url=valkey_server,
        model_url=model_process.url,
        namespace=await new_namespace(temporal_address),
        admin_key=ADMIN_KEY,
    )
    async with running(settings) as system, desk_of(system) as made:
        yield made


async def test_a_hundred_decide_at_once_and_one_decision_counts(desk: Desk) -> None:
    ask, waiter = await desk.asked()

    async def one(number: int) -> httpx.Response:
        if number % 2:
            return await desk.post(ask, "reject", {"reason": f"reason {number}"})
        return await desk.post(ask, "approve", {"comment": f"comment {number}"})

    answers = await asyncio.gather(*(one(number) for number in range(100)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 99}
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert won["status"] in {"approved", "rejected"}
    for lost in (answer.json()["error"] for answer in answers if answer.status_code == 409):
        assert lost["code"] == "CONFLICT"
        assert lost["details"] == {
            "approval_id": ask.approval_id,
            "status": won["status"],
            "by": "anonymous",
            "at": won["decided_at"],
            "comment": won["comment"],
        }
    heard = await asyncio.wait_for(waiter.result(), 20)
    assert (heard.decided.outcome, heard.told) == (won["status"], 1)
    assert [step["event"] for step in (await desk.get(ask))["history"]] == ["requested", "decided"]


async def test_what_waits_is_shown_as_the_reference_has_it(desk: Desk) -> None:
    ask, _ = await desk.asked()
    response = await desk.http.get(f"{APPROVALS}/pending", params={"workflow_id": ask.root_id})
    body = response.json()
    assert response.status_code == 200
    assert (body["total"], body["skip"], body["limit"]) == (1, 0, 100)
    assert body["pagination"] == {"total": 1, "skip": 0, "limit": 100, "has_next": False, "has_prev": False}
    [shown] = body["pending_approvals"]
    wanted = {
        "id": ask.approval_id,
        "type": "agent_response",
        "agent_id": "ali",
        "content": TEXT,
        "risk_level": "medium",
        "title": "Answer of ali",
        "requested_by": "key_asker",
        "workflow_id": ask.root_id,
        "payload": None,
        "context": {"session_id": "session_1", "turn": 2, "project_id": "7"},
        "status": "pending",
        "deciders": ["*"],
    }
    assert {name: shown[name] for name in wanted} == wanted
    assert shown["created_at"].endswith("Z")
    assert shown["expires_at"] > shown["created_at"]


async def test_a_payload_is_shown_as_json(desk: Desk) -> None:
    ask = await asyncio.to_thread(desk.ask)
    payload = await asyncio.to_thread(
        desk.system.parts.content.put, Content(ask.owner, '{"url": "https://example.org"}')
    )
    more = {"owner": ask.owner, "content_hash": ask.content_hash, "payload_hash": payload, "kind": "tool_call"}
    ask, _ = await desk.asked(**more)
    assert (await desk.get(ask))["payload"] == {"url": "https://example.org"}
    wrong = await desk.post(ask, "approve", {"edited_content": "no JSON"})
    assert wrong.status_code == 422
    assert wrong.json()["error"]["details"]["field"] == "edited_content"
    right = await desk.post(ask, "approve", {"edited_content": '{"url": "https://example.com"}'})
    assert right.json()["edited_content"] == '{"url": "https://example.com"}'


async def test_an_approval_is_let_go_as_it_is_without_a_body(desk: Desk) -> None:
    ask, waiter = await desk.asked()
    answer = await desk.http.post(f"{APPROVALS}/{ask.approval_id}/approve")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["decided_by"]) == ("approved", "anonymous")
    assert (await waiter.result()).decided.outcome == "approved"
    assert (await desk.get(ask))["status"] == "approved"


async def test_what_was_edited_is_what_goes_on(desk: Desk) -> None:
    ask, waiter = await desk.asked()
    answer = await desk.post(ask, "approve", {"comment": "Shorter.", "edited_content": "Yes."}, headers=AS_ADMIN)
    shown = answer.json()
    assert (shown["content"], shown["edited_content"], shown["comment"]) == (TEXT, "Yes.", "Shorter.")
    assert shown["decided_by"] == "key_admin"
    decided = (await waiter.result()).decided
    assert decided.content_hash
    assert desk.system.parts.content.get(ask.owner, [decided.content_hash]) == {decided.content_hash: "Yes."}
    [_, step] = (await desk.get(ask))["history"]
    assert (step["event"], step["by"], step["comment"], step["edited_content"]) == (
        "decided",
        "key_admin",
        "Shorter.",
        "Yes.",
    )


async def test_a_rejection_says_why(desk: Desk) -> None:
    ask, waiter = await desk.asked()
    for body in ({}, {"reason": " "}, {"comment": "no"}):
        assert (await desk.post(ask, "reject", body)).status_code == 422
    answer = await desk.post(ask, "reject", {"reason": "It is not true."})
    assert (answer.json()["status"], answer.json()["comment"]) == ("rejected", "It is not true.")
    assert (await waiter.result()).decided.outcome == "rejected"


async def test_a_repeat_under_the_same_key_is_the_same_decision(desk: Desk) -> None:
    ask, _ = await desk.asked()
    key = {"Idempotency-Key": uuid4().hex}
    first = await desk.post(ask, "approve", {"comment": "yes"}, headers=key)
    again = await desk.post(ask, "approve", {"comment": "yes"}, headers=key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.headers["idempotency-replayed"] == "true"
    assert (await desk.post(ask, "approve", {"comment": "yes"})).status_code == 409


@pytest.mark.parametrize(
    ("verb", "body"), [("approve", {}), ("reject", {"reason": "no"}), ("delegate", {"to": "key_b"}), ("escalate", {})]
)
async def test_what_nobody_asked_is_not_found(desk: Desk, verb: str, body: Any) -> None:
    response = await desk.http.post(f"{APPROVALS}/approval_of_nobody/{verb}", json=body)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "NOT_FOUND"
    assert (await desk.http.get(f"{APPROVALS}/approval_of_nobody")).status_code == 404


async def test_it_is_delegated_and_goes_up(desk: Desk) -> None:
    ask, _ = await desk.asked()
    for wrong in ("*", "anonymous"):
        assert (await desk.post(ask, "delegate", {"to": wrong})).status_code == 422
    passed = (await desk.post(ask, "delegate", {"to": "key_b", "comment": "You know better."})).json()
    assert (passed["status"], passed["deciders"]) == ("pending", ["key_b"])
    assigned = await desk.http.get(f"{APPROVALS}/pending", params={"assigned_to": "key_b"})
    assert [shown["id"] for shown in assigned.json()["pending_approvals"]] == [ask.approval_id]
    refused = await desk.post(ask, "approve", {}, headers=AS_ADMIN)
    assert refused.status_code == 403
    assert refused.json()["error"]["details"] == {"deciders": ["key_b"]}
    raised = (await desk.post(ask, "escalate", {"comment": "Too hot."})).json()
    assert (raised["status"], raised["deciders"]) == ("escalated", ["*"])
    assert raised["escalated_at"]
    assert (await desk.post(ask, "escalate")).status_code == 409
    decided = (await desk.post(ask, "approve", {}, headers=AS_ADMIN)).json()
    assert decided["status"] == "approved"
    history = (await desk.get(ask))["history"]
    assert [step["event"] for step in history] == ["requested", "delegated", "escalated", "decided"]
    assert [step["comment"] for step in history] == [None, "You know better.", "Too hot.", None]
    assert (history[1]["to"], history[2]["to"], history[2]["reason"]) == (["key_b"], ["*"], "asked")
    assert [step["status"] for step in history] == ["pending", "pending", "escalated", "approved"]


async def test_lists_are_filtered_and_paged(desk: Desk) -> None:
    agent = f"agent_{uuid4().hex[:8]}"
    low, _ = await desk.asked(agent_id=agent, risk="low")
    high, _ = await desk.asked(agent_id=agent, risk="high", kind="swarm_result", key_id="key_b")
    await desk.post(low, "approve")

    async def ids(**wanted: Any) -> list[str]:
        response = await desk.http.get(APPROVALS, params={"agent_id": agent, **wanted})
        assert response.status_code == 200, response.text
        return [shown["id"] for shown in response.json()["data"]]

    assert await ids() == [high.approval_id, low.approval_id]
    assert await ids(status="approved") == [low.approval_id]
    assert await ids(status=["approved", "pending"]) == [high.approval_id, low.approval_id]
    assert await ids(risk_level="high") == [high.approval_id]
    assert await ids(type="swarm_result") == [high.approval_id]
    assert await ids(requested_by="key_b") == [high.approval_id]
    assert await ids(workflow_id=low.root_id) == [low.approval_id]
    created = (await desk.get(high))["created_at"]
    assert await ids(before=created) == [low.approval_id]
    assert await ids(since=created) == [high.approval_id]
    assert await ids(limit=1, skip=1) == [low.approval_id]
    assert (await desk.http.get(APPROVALS, params={"status": "open"})).status_code == 422
    pending = await desk.http.get(f"{APPROVALS}/pending", params={"agent_id": agent})
    assert [shown["id"] for shown in pending.json()["pending_approvals"]] == [high.approval_id]


async def test_several_are_decided_at_once(desk: Desk) -> None:
    asks = [await desk.asked() for _ in range(4)]
    (first, _), (second, _), (third, _), (fourth, _) = asks
    await desk.post(third, "reject", {"reason": "no"})
    response = await desk.http.post(
        f"{APPROVALS}/batch",
        json={
            "decisions": [
                {"id": first.approval_id, "decision": "approve", "comment": "yes", "edited_content": "Yes."},
                {"id": second.approval_id, "decision": "reject", "reason": "not so"},
                {"id": third.approval_id, "decision": "approve"},
                {"id": "approval_of_nobody", "decision": "approve"},
                {"id": fourth.approval_id, "decision": "reject", "reason": "no"},
            ]
        },
    )
    assert response.status_code == 200, response.text
    results = response.json()["results"]
    assert [result["status"] for result in results] == [200, 200, 409, 404, 200]
    assert results[0]["approval"]["edited_content"] == "Yes."
    assert (results[1]["approval"]["status"], results[1]["approval"]["comment"]) == ("rejected", "not so")
    assert results[2]["approval"] is None
    assert results[2]["error"]["code"] == "CONFLICT"
    assert results[2]["error"]["details"]["status"] == "rejected"
    assert results[3]["error"]["code"] == "NOT_FOUND"
    assert [(await waiter.result()).decided.outcome for _, waiter in asks] == [
        "approved",
        "rejected",
        "rejected",
        "rejected",
    ]


@pytest.mark.parametrize(
    "decisions",
    [
        [],
        [{"id": "a", "decision": "perhaps"}],
        [{"id": "a", "decision": "approve"}, {"id": "a", "decision": "reject"}],
        [{"id": "a", "decision": "reject", "edited_content": "x"}],
        [{"id": "a", "decision": "reject", "reason": "x", "comment": "y"}],
        [{"id": "a", "decision": "reject"}],
        [{"id": "a", "decision": "reject", "comment": "why not"}],
        [{"id": "a", "decision": "reject", "reason": " "}],
        [{"id": "a", "decision": "approve", "reason": "because"}],
        [{"id": "a", "decision": "approve", "edited_content": " \n"}],
        [{"id": "b", "decision": "approve"}, {"id": "a", "decision": "reject"}],
        [{"id": f"a{number}", "decision": "approve"} for number in range(101)],
    ],
)
async def test_a_batch_that_cannot_be_is_refused_as_a_whole(desk: Desk, decisions: list[Any]) -> None:
    response = await desk.http.post(f"{APPROVALS}/batch", json={"decisions": decisions})
    assert response.status_code == 422


async def test_what_its_run_has_withdrawn_is_over(desk: Desk) -> None:
    ask, waiter = await desk.asked()
    await waiter.cancel()
    await asyncio.wait_for(desk.system.temporal.get_workflow_handle(ask.approval_id).result(), 20)
    refused = await desk.post(ask, "approve")
    assert refused.status_code == 409
    details = refused.json()["error"]["details"]
    assert (details["status"], details["by"], details["comment"]) == ("withdrawn", "platform", "the run was cancelled")


async def test_an_approval_whose_run_was_lost_can_still_be_decided(desk: Desk) -> None:
    ask, waiter = await desk.asked()
    await desk.system.temporal.get_workflow_handle(ask.approval_id).terminate("an accident")
    answer = await desk.post(ask, "approve")
    assert answer.status_code == 200, answer.text
    assert (await asyncio.wait_for(waiter.result(), 20)).decided.outcome == "approved"


async def test_a_decision_by_signal_is_read_like_any_other(desk: Desk) -> None:
    ask, waiter = await desk.asked()
    handle = desk.system.temporal.get_workflow_handle_for(ApprovalWorkflow.run, ask.approval_id)
    await handle.signal("reject", {"comment": "Not like this.", "by": "maria"})
    await waiter.result()
    shown = await desk.get(ask)
    assert (shown["status"], shown["decided_by"], shown["comment"]) == ("rejected", "claimed:maria", "Not like this.")
    assert (await desk.post(ask, "approve")).json()["error"]["details"]["by"] == "claimed:maria"


async def test_who_may_not_decide_sees_what_their_tenant_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, _ = await desk.asked(key_id="key_reader")
    theirs, _ = await desk.asked(key_id="key_other")
    monkeypatch.setattr("api.http.api_keys.ANONYMOUS", Caller("key_reader", frozenset({"read", "write"})))
    for ask in (mine, theirs):
        assert (await desk.http.get(f"{APPROVALS}/{ask.approval_id}")).status_code == 200
        assert (await desk.http.get(f"{APPROVALS}/{ask.approval_id}", headers=OF_ACME)).status_code == 404
    shown = (await desk.http.get(f"{APPROVALS}/pending", params={"requested_by": "key_other"})).json()
    assert {approval["requested_by"] for approval in shown["pending_approvals"]} == {"key_other"}
    assert (await desk.http.get(APPROVALS, headers=OF_ACME)).json()["data"] == []
    refused = await desk.post(mine, "approve")
    assert refused.status_code == 403
    assert refused.json()["error"]["details"] == {"scope": "approve"}


async def test_the_view_can_be_built_anew(desk: Desk) -> None:
    ask, _ = await desk.asked()
    await desk.post(ask, "approve")
    await desk.get(ask)
    system = desk.system
    rebuild = Rebuild(system.settings.database_url or "", system.parts.registry, ApprovalsProjection())
    rebuilt = await asyncio.to_thread(rebuild.run, swap=False)
    assert rebuilt.set_aside == 0
    assert [comparison.equal for comparison in rebuilt.comparisons] == [True, True]


async def test_open_approvals_are_counted(desk: Desk) -> None:
    await desk.asked(risk="critical")
    counts = await asyncio.to_thread(desk.system.parts.approvals.counts)
    [critical] = [count for count in counts if (count.status, count.risk) == ("pending", "critical")]
    assert critical.count >= 1
    assert critical.oldest_at.tzinfo


async def test_without_a_worker_a_decision_is_accepted_and_that_is_all_that_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.approvals.update_client.ANSWER_TIMEOUT_S", 0.5)
    settings = desk.system.settings.model_copy(update={"temporal_namespace": await new_namespace(_address(desk))})
    async with running(settings, working=False) as idle:
        ask = desk.ask()
        async with desk_of(idle) as waiting:
            await waiting.asked(**{name: getattr(ask, name) for name in ("approval_id", "owner", "content_hash")})
        response = await idle.http.post(f"{APPROVALS}/{ask.approval_id}/approve")
        assert (response.status_code, response.json()["status"]) == (202, "pending")
        assert response.headers["location"] == f"{APPROVALS}/{ask.approval_id}"


def _address(desk: Desk) -> str:
    return desk.system.settings.temporal_address or ""


async def ended(desk: Desk) -> ApprovalRequest:
    """An approval whose time was over long ago, which nobody was there to record."""
    parts, ask = desk.system.parts, await asyncio.to_thread(desk.ask)

    async def start(_: ApprovalStart) -> None:
        """No run."""

    activities = ApprovalActivities(
        parts.ledger,
        parts.instructions,
        parts.content,
        lambda: parts.risks,
        lambda: datetime.now(UTC) - timedelta(days=100),
        start=start,
    )
    await activities.request_approval(ask)
    return ask


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("approve", None),
        ("approve", {"edited_content": "Yes."}),
        ("reject", {"reason": "no"}),
        ("delegate", {"to": "key_2"}),
        ("escalate", None),
    ],
)
async def test_what_is_said_after_the_end_does_not_count_and_the_end_is_recorded(
    desk: Desk, verb: str, body: Any
) -> None:
    ask = await ended(desk)
    late = await desk.post(ask, verb, body)
    assert (late.status_code, late.json()["error"]["code"]) == (409, "CONFLICT")
    shown = await until(lambda: desk.get(ask), lambda each: each["status"] == "expired", seconds=20)
    assert shown["status"] == "expired"


async def test_a_signal_after_the_end_does_not_count(desk: Desk) -> None:
    ask = await ended(desk)
    start = start_of(aggregate.load(desk.system.parts.ledger.read(aggregate.stream(ask.approval_id))), notices=False)
    await desk.system.temporal.start_workflow(
        ApprovalWorkflow.run, start, id=ask.approval_id, task_queue=WORKFLOW_QUEUE, start_signal="approve"
    )
    shown = await until(lambda: desk.get(ask), lambda each: each["status"] != "pending", seconds=20)
    assert shown["status"] == "expired"
