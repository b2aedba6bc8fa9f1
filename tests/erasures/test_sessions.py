"""A session is erased with its forks: nothing is left of its texts, and all that was counted and signed stays."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from activities.reconcile.erasures import ErasureReconciler
from adapters.postgres.erasures.views import PostgresErasures
from domain.content import Content
from domain.erasures.commands import ErasureCommands
from domain.events import Cause
from domain.ids import random_id
from domain.tenant_ids import DEFAULT
from tests.erasures.stage import ERASURES, completed, erased, figures, places
from tests.scripted_model import ScriptedModel
from tests.signatures.exported import check, export_of, jwks_of
from tests.system import CHAT, OF_ACME, System, until
from workflows.erasures.client import ErasureClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


def marked() -> tuple[str, str]:
    """The name of a session, and a text that stands nowhere else."""
    return f"s-{uuid4().hex[:12]}", f"mark{uuid4().hex}"


async def test_an_erased_session_leaves_no_text_anywhere(shared: System, scripted_model: ScriptedModel) -> None:
    session_id, mark = marked()
    keyed = {"Idempotency-Key": uuid4().hex}
    assert (await shared.say(f"Keep {mark}.", session_id, headers=keyed)).status_code == 200
    await shared.say("Go on.", session_id)
    await shared.http.post(f"{CHAT}/{session_id}/turns/1/rating", json={"rating": 4, "comment": mark})
    fork = (await shared.http.post(f"{CHAT}/{session_id}/fork", json={"turn": 2})).json()["session_id"]
    await shared.say(f"And {mark}?", fork)
    held = (await shared.say(f"May I {mark}?", session_id, require_approval=True)).json()
    await shared.http.post(f"/api/v1/approvals/{held['approval_id']}/approve", json={"comment": mark})
    await shared.settled(session_id)
    before = figures(shared)
    assert len(await places(shared, mark)) >= 2
    answer = await erased(shared, "session", session_id)
    assert await places(shared, mark) == []
    assert figures(shared) == before
    assert (answer["subject"], answer["removed"]["owners"]) == (session_id, 2)
    assert answer["removed"]["texts"] >= 8
    assert answer["removed"]["answers"] >= 1
    session = await shared.session(session_id)
    assert session["status"] == "ended"
    assert {(turn["message"], turn["response"]) for turn in session["turns"]} == {(None, None)}
    lines = await export_of(shared, f"/agents/chat/{session_id}")
    report = check(lines, jwks_of(shared))
    assert (report.findings, report.erased) == ((), 4)


async def test_an_erased_session_takes_no_more_messages_and_is_not_forked(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id, _ = marked()
    await shared.say("Hello.", session_id)
    await erased(shared, "session", session_id)
    assert (await shared.say("Again.", session_id)).status_code == 409
    assert (await shared.http.post(f"{CHAT}/{session_id}/fork", json={"turn": 1})).status_code == 409


async def test_a_turn_that_runs_while_its_session_is_erased_adds_no_text(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id, mark = marked()
    said = asyncio.create_task(shared.say(f"[[first 3]] {mark}", session_id))
    await scripted_model.until(lambda bill: len(bill) == 1)
    await erased(shared, "session", session_id)
    await said
    assert await places(shared, mark) == []

    def is_settled() -> bool:
        with psycopg.connect(str(shared.settings.database_url)) as connection:
            row = connection.execute("SELECT count(*) FROM cost_calls WHERE state = 'reserved'").fetchone()
        return row == (0,)

    await until(lambda: asyncio.to_thread(is_settled), bool)


async def test_a_text_stored_after_the_mark_is_dropped_and_the_event_with_it_is_kept(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id, mark = marked()
    await shared.say("Hello.", session_id)
    await erased(shared, "session", session_id)
    text = Content(session_id, mark)
    assert await asyncio.to_thread(shared.parts.content.put, text) == text.hash
    assert await asyncio.to_thread(shared.parts.content.get, session_id, [text.hash]) == {}


async def test_an_erasure_waits_for_writes_that_did_not_see_its_mark(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id, mark = marked()
    await shared.say("Hello.", session_id)
    async with await psycopg.AsyncConnection.connect(str(shared.settings.database_url)) as writer:
        await writer.execute("INSERT INTO content (owner, hash, body) VALUES (%s, 'h', %s)", (session_id, mark))
        asked = asyncio.create_task(erased(shared, "session", session_id))
        await asyncio.sleep(1)
        await writer.commit()
        await asked
    assert await places(shared, mark) == []


async def test_an_erasure_that_temporal_did_not_get_is_started_later(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id, mark = marked()
    await shared.say(mark, session_id)
    cause = Cause("anonymous", "req_1", datetime.now(UTC), DEFAULT)
    requested = ErasureCommands(shared.parts.ledger).request
    await asyncio.to_thread(requested, erasure_id := random_id("erasure"), "session", session_id, cause)
    await until(lambda: shared.http.get(f"{ERASURES}/{erasure_id}"), lambda answer: answer.status_code == 200)
    reconciler = ErasureReconciler(PostgresErasures(shared.parts.database), ErasureClient(shared.temporal, 1.0).start)
    assert await reconciler.reconcile_erasures() == 1
    assert await reconciler.reconcile_erasures() == 0
    await completed(shared, f"{ERASURES}/{erasure_id}")
    assert await places(shared, mark) == []


async def test_a_second_erasure_removes_nothing_and_completes(shared: System, scripted_model: ScriptedModel) -> None:
    session_id, _ = marked()
    await shared.say("Hello.", session_id)
    first = await erased(shared, "session", session_id)
    second = await erased(shared, "session", session_id)
    assert first["id"] != second["id"]
    assert first["removed"]["texts"] == 2
    assert (second["removed"]["owners"], second["removed"]["texts"]) == (0, 0)


async def test_a_repeat_under_one_key_is_one_erasure(shared: System, scripted_model: ScriptedModel) -> None:
    session_id, _ = marked()
    await shared.say("Hello.", session_id)
    keyed = {"Idempotency-Key": uuid4().hex}
    body = {"kind": "session", "id": session_id}
    asked = [await shared.http.post(ERASURES, json=body, headers=keyed) for _ in range(2)]
    assert len({each.json()["id"] for each in asked}) == 1


async def test_erasures_are_listed_and_audited(shared: System, scripted_model: ScriptedModel) -> None:
    session_id, _ = marked()
    await shared.say("Hello.", session_id)
    done = await erased(shared, "session", session_id)
    listed = (await shared.http.get(ERASURES, params={"kind": "session", "limit": 1})).json()
    assert listed["data"][0] == done
    assert listed["pagination"]["total"] >= 1
    entries = (await shared.http.get("/api/v1/audit", params={"subject": done["id"]})).json()
    assert [entry["kind"] for entry in entries["data"]] == ["erasure.completed", "erasure.requested"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "session", "id": "nobodys"}, 404),
        ({"kind": "session", "id": "exec_0f"}, 404),
        ({"kind": "session", "id": "a~b"}, 404),
        ({"kind": "talent", "id": "0"}, 422),
        ({"kind": "talent", "id": "99999999"}, 404),
        ({"kind": "tenant", "id": "default"}, 409),
        ({"kind": "tenant", "id": "nobodys"}, 404),
        ({"kind": "project", "id": "1"}, 422),
        ({"kind": "user", "id": ""}, 422),
        ({"kind": "user", "id": "x" * 129}, 422),
        ({"kind": "user", "id": "a", "more": 1}, 422),
    ],
)
async def test_what_is_no_subject_is_refused(
    shared: System, scripted_model: ScriptedModel, body: dict[str, str], status: int
) -> None:
    answer = await shared.http.post(ERASURES, json=body)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize("said", ['"\\ud800"', '"a\\u0000b"', "1e999", '"' + "x" * 200_000 + '"'])
async def test_an_id_that_nothing_can_store_is_refused(
    shared: System, scripted_model: ScriptedModel, said: str
) -> None:
    for kind in ("session", "user", "talent", "tenant"):
        body = f'{{"kind": "{kind}", "id": {said}}}'
        answer = await shared.http.post(ERASURES, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422}, answer.text


async def test_another_tenants_session_and_erasure_are_not_found(shared: System, scripted_model: ScriptedModel) -> None:
    session_id, _ = marked()
    await shared.say("Hello.", session_id)
    done = await erased(shared, "session", session_id)
    asked = await shared.http.post(ERASURES, json={"kind": "session", "id": session_id}, headers=OF_ACME)
    read = await shared.http.get(f"{ERASURES}/{done['id']}", headers=OF_ACME)
    assert (asked.status_code, read.status_code) == (404, 404)


async def test_a_session_that_has_not_begun_never_begins(shared: System, scripted_model: ScriptedModel) -> None:
    session_id, mark = marked()
    await asyncio.to_thread(shared.parts.content.put, Content(session_id, mark))
    await erased(shared, "session", session_id)
    answer = await shared.say("Hello.", session_id)
    assert answer.status_code == 409, answer.text
    assert await places(shared, mark) == []
