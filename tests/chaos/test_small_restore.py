"""A system that is destroyed and restored: what waited goes on, what was in progress is named and not paid again."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from runtime.backup.listing import list_backups
from runtime.backup.manifest import SIGNING_KEY, TEMPORAL, read_manifest
from tests.chaos.books import assert_books_agree
from tests.chaos.swarms import APPROVALS
from tests.chaos.whole import CHAT, RESTORED_S, Whole, eventually, kill_everything, soon, whole
from tests.runtime.test_cli import convergio
from tests.scripted_model import start_scripted_model

REPORT = "SELECT report, reconciled_at IS NOT NULL FROM restores"


async def test_a_destroyed_system_is_restored_as_it_was_and_pays_nothing_again(tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with start_scripted_model(bill=tmp_path / "bill.jsonl") as model:
        async with whole(tmp_path, model) as first:
            idle = (await first.say("Before.")).json()["session_id"]
            held = (await first.say("May I?", require_approval=True)).json()
            running = await accepted(first, "Under way. [[delay 20]]")
            await model.until(lambda bill: bill[-1]["state"] == "started", seconds=30)
            await first.command("backup", str(backup))
            assert (await first.say("After.", idle)).json()["turn"] == 2
            refused = convergio("restore", str(backup), data_dir=data)
            assert (refused.returncode, "convergio runs in" in refused.stderr) == (1, True)
            await kill_everything(first)
        manifest = read_manifest(backup)
        assert {TEMPORAL, SIGNING_KEY} <= manifest.files.keys()
        secret = (data / "signing-key").read_text()
        shutil.rmtree(data)
        restored = convergio("restore", str(backup), data_dir=data)
        assert restored.returncode == 0, restored.stderr
        assert (data / "signing-key").read_text() == secret
        paid = len(model.bill())
        scheduled = str(tmp_path / "scheduled")
        async with whole(tmp_path, model, ready_s=RESTORED_S, CONVERGIO_BACKUP_DIR=scheduled) as second:
            report = reconciled(second)
            assert (f"{held['session_id']}#1", "waits") in report
            assert (f"{running}#1", "failed") in report
            assert [turn["turn"] for turn in await second.turns(idle)] == [1]
            [lost] = await second.turns(running)
            assert (lost["status"], lost["error"]["code"]) == ("failed", "RUN_LOST")
            assert len(model.bill()) == paid
            await approve(second, held)
            for session in (idle, running):
                assert (await second.say("Go on.", session)).json()["turn"] == 2
            again = convergio("reconcile", "--json", data_dir=data)
            assert orjson.loads(again.stdout) == [], again.stderr
            known = {f"{call['call_id']}.{call['attempt']}" for call in await second.calls()}
            bill = [entry for entry in model.bill() if entry["request_id"] in known]
            assert_books_agree(await second.calls(), bill)
            assert not (data / "restored").exists()
            await soon(lambda: len(list_backups(tmp_path / "scheduled")) == 1, 60)


async def accepted(system: Whole, message: str) -> str:
    response = await system.say(message, wait=False)
    assert response.status_code == httpx.codes.ACCEPTED, response.text
    return str(response.json()["session_id"])


def reconciled(system: Whole) -> set[tuple[str, str]]:
    """The report of the reconciliation at the start: ids and outcomes."""
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        row = connection.execute(REPORT).fetchone()
    assert row is not None
    report, is_done = row
    assert is_done
    return {(item["id"], item["outcome"]) for item in report}


async def approve(system: Whole, held: dict[str, Any]) -> None:
    response = await system.http.post(f"{APPROVALS}/{held['approval_id']}/approve", json={})
    assert response.status_code == httpx.codes.OK, response.text

    async def is_answered() -> bool:
        session = await system.ask(f"{CHAT}/{held['session_id']}")
        return bool(session["turns"][-1]["status"] == "completed")

    await eventually(is_answered, 30)


pytestmark = pytest.mark.prove
