"""Two hundred runs, a backup, more work, everything destroyed: what is restored is right, and pays nothing again."""

import asyncio
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import orjson
import psycopg
import pytest

from runtime.backup.backup import PARTIAL
from runtime.backup.manifest import DATABASE, Manifest, read_manifest
from tests.chaos.books import assert_books_agree, name
from tests.chaos.conftest import Say
from tests.chaos.restored import Runs, begin_runs, define_graph, hold_runs, statuses
from tests.chaos.swarms import APPROVALS
from tests.chaos.whole import RESTORED_S, Whole, eventually, kill_everything, soon, whole
from tests.runtime.test_cli import convergio
from tests.scripted_model import start_scripted_model
from tests.servers import ROOT

pytestmark = pytest.mark.prove

OVER = {"completed", "rejected", "failed", "cancelled"}
HELD = "awaiting_approval"
MORE_S, QUIET_S, DECIDED_S = 8.0, 20.0, 180.0
_REPORT = "SELECT report FROM restores WHERE reconciled_at IS NOT NULL"

Item = dict[str, Any]


async def test_a_destroyed_system_comes_back_as_of_its_backup_and_pays_nothing_again(
    tmp_path: Path, measured: Say
) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with start_scripted_model(bill=tmp_path / "bill.jsonl") as model:
        async with whole(tmp_path, model) as first:
            runs = await hold_runs(first)
            await _interrupted_backup(first, backup)
            await begin_runs(first, runs)
            took = await _backed_up_under_load(first, backup)
            decided = await _more_work(first, runs)
            await kill_everything(first)
        manifest = read_manifest(backup)
        shutil.rmtree(data)
        began = time.monotonic()
        done = convergio("restore", str(backup), data_dir=data)
        assert done.returncode == 0, done.stderr
        restored_s, paid = time.monotonic() - began, model.bill()
        began = time.monotonic()
        async with whole(tmp_path, model, ready_s=RESTORED_S) as second:
            started_s = time.monotonic() - began
            measured(
                "\n".join(line for line in second.up.output.splitlines() if "reconcile" in line and "took_s" in line)
            )
            report = _report(second)
            found = await statuses(second, runs)
            assert_each_run_is_over_or_waits_and_is_named(runs, found, report)
            assert all(found[session] == HELD for session in decided), "what was decided later is undecided again"
            books = assert_books_are_the_bill_up_to_the_backup(await second.calls(), model.bill(), manifest)
            await asyncio.sleep(QUIET_S)
            assert len(model.bill()) == len(paid), "something was paid again by itself"
            await _everything_goes_on(second, runs, found)
            assert orjson.loads(convergio("reconcile", "--json", data_dir=data).stdout) == []
            assert await statuses(second, runs) == await statuses(second, runs)
            assert_books_are_the_bill_up_to_the_backup(await second.ended_calls(), model.bill(), manifest)
            await second.command("rebuild", "--check")
    outcomes = Counter(f"{item['kind']}s {item['outcome']}" for item in report)
    measured(
        f"{runs.count} runs, backed up in {took:.1f} s under load; destroyed; restored in {restored_s:.1f} s,"
        f" reconciled and started in {started_s:.1f} s: {dict(outcomes)}\n"
        f"each run over, waiting, or named as lost: {dict(Counter(found.values()))};"
        f" calls as (ledger, bill) {dict(books)}; {len(paid) - sum(books.values())} calls paid after the backup,"
        " none of them made again by itself"
    )


async def test_a_system_that_moves_goes_on_where_it_was_and_finds_what_was_settled(
    tmp_path: Path, measured: Say
) -> None:
    """Restored with `--resume`: as after a kill of everything at the moment of the backup."""
    data, backup = tmp_path / "data", tmp_path / "backup"
    with start_scripted_model(bill=tmp_path / "bill.jsonl") as model:
        async with whole(tmp_path, model) as first:
            runs = Runs(workflow_id=await define_graph(first))
            await begin_runs(first, runs)
            await _backed_up_under_load(first, backup)
            await kill_everything(first)
        moment, before = read_manifest(backup).moment.timestamp(), model.bill()
        shutil.rmtree(data)
        done = convergio("restore", str(backup), "--resume", data_dir=data)
        assert done.returncode == 0, done.stderr
        async with whole(tmp_path, model, ready_s=RESTORED_S) as second:
            assert _report(second) == []

            async def all_there() -> bool:
                found = await statuses(second, runs)
                ended = [found.get(run) == "completed" for run in (*runs.chats, *runs.swarms)]
                return all([*ended, *(found.get(run) == HELD for run in runs.executions)])

            await eventually(all_there, DECIDED_S)
            known = [entry for entry in before if entry["at"] < moment]
            later = model.bill()[len(before) :]
            books = assert_books_agree(await second.ended_calls(), [*known, *later])
    again = len(model_calls(known) & model_calls(later))
    measured(
        f"{runs.count} runs moved in progress, each completed or held; calls as (ledger, bill) {dict(books)};"
        f" {again} calls were in progress at the backup and made again, none that was settled"
    )


def model_calls(bill: list[Item]) -> set[str]:
    """The calls of a bill, whichever their attempts."""
    return {str(entry["request_id"]).rpartition(".")[0] for entry in bill}


async def _backed_up_under_load(system: Whole, backup: Path) -> float:
    """Back up while calls are settled; the seconds it took."""
    before = _finished(system.model.bill())
    await system.model.until(lambda bill: _finished(bill) > before, seconds=60)
    settled = _finished(system.model.bill())
    began = time.monotonic()
    await system.command("backup", str(backup))
    took = time.monotonic() - began
    assert _finished(system.model.bill()) > settled, "nothing was settled meanwhile"
    return took


def _finished(bill: Sequence[Item]) -> int:
    return sum(entry["state"] == "finished" for entry in bill)


async def _interrupted_backup(system: Whole, backup: Path) -> None:
    """A backup that is killed in the middle is none; the next one of its name takes its place."""
    command = [sys.executable, "-m", "runtime.cli", "backup", str(backup)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**os.environ, **system.environment})
    partial = backup.with_name(backup.name + PARTIAL)
    await soon((partial / DATABASE).exists, 30)
    process.kill()
    await process.wait()
    refused = convergio("restore", str(partial), data_dir=backup.with_name("elsewhere"))
    assert (refused.returncode, "not a whole backup" in refused.stderr) == (1, True)


async def _more_work(system: Whole, runs: Runs) -> list[str]:
    """What happens after the backup and is lost with the system. Returns the held sessions that were decided."""
    decided = runs.held[:5]
    for session in runs.idle[:10]:
        assert (await system.say("After the backup.", session)).is_success
    for session in decided:
        await _approve(system, str((await system.turns(session))[-1]["approval_id"]))
    assert (await system.say("Never heard of again.", "unheard-of")).is_success
    await asyncio.sleep(MORE_S)
    return decided


async def _approve(system: Whole, approval_id: str) -> None:
    response = await system.http.post(f"{APPROVALS}/{approval_id}/approve", json={})
    assert response.is_success, response.text


def _report(system: Whole) -> list[Item]:
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        row = connection.execute(_REPORT).fetchone()
    assert row is not None
    return list(row[0])


def assert_each_run_is_over_or_waits_and_is_named(runs: Runs, found: dict[str, str], report: list[Item]) -> None:
    named = {str(item["id"]).partition("#")[0].removeprefix("chat-"): item["outcome"] for item in report}
    assert set(found.values()) <= OVER | {HELD}, Counter(found.values())
    assert all(found[session] == "completed" for session in runs.idle)
    assert all(found[session] == HELD for session in runs.held)
    for run in (*runs.held, *runs.chats, *runs.swarms, *runs.executions):
        if run not in found:
            assert named[run] == "terminated", f"{run} had been accepted, and is neither there nor named"
        elif found[run] == HELD:
            assert named[run] == "waits"
        elif found[run] == "failed":
            assert named[run] == "failed"
        else:
            assert found[run] == "completed"
    assert {"failed", "waits"} <= set(named.values())


def assert_books_are_the_bill_up_to_the_backup(
    calls: list[Item], bill: list[Item], manifest: Manifest
) -> Counter[tuple[str, str]]:
    """Every call that the provider got before the backup is booked, and every booked one is as it billed it."""
    booked = {name(call) for call in calls}
    moment = manifest.moment.timestamp()
    return assert_books_agree(calls, [entry for entry in bill if entry["request_id"] in booked or entry["at"] < moment])


async def _everything_goes_on(system: Whole, runs: Runs, before: dict[str, str]) -> None:
    """Every approval can be decided and is carried out; every session takes a message."""
    page = await system.ask(APPROVALS, status="pending", limit=200)
    await asyncio.gather(*(_approve(system, approval["id"]) for approval in page["data"]))

    async def all_decided() -> bool:
        found = await statuses(system, runs)
        return all(found[run] in OVER for run in before)

    await eventually(all_decided, DECIDED_S)
    found = await statuses(system, runs)
    assert all(found[run] == "completed" for run, status in before.items() if status == HELD)
    for session in (*runs.idle[:5], *runs.chats[::6], *runs.held[:3], "unheard-of"):
        response = await system.say("Are you still there?", session)
        assert response.status_code == httpx.codes.OK, response.text
