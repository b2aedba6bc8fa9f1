"""A ledger that is older than Temporal: what Temporal counts as done ends as lost, and nobody pays again by itself."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from domain.recovery.report import SettledItem
from runtime.backup.backup import make_backup
from runtime.backup.recovery import reconcile
from runtime.backup.restore import restore_backup
from runtime.settings import Settings
from tests.schedules.stage import call, chat, history, make
from tests.scripted_model import ScriptedModel
from tests.system import System, running

QUIET_S = 3.0


async def test_runs_that_are_ahead_of_the_ledger_end_as_lost_and_sessions_continue(
    system_settings: Settings, scripted_model: ScriptedModel, empty_database_url: str, tmp_path: Path
) -> None:
    async with running(system_settings) as first:
        idle = (await first.say("Before.")).json()["session_id"]
        held = (await first.say("May I?", require_approval=True)).json()
        under_way = (await first.say("Under way. [[delay 4]]", wait=False)).json()["session_id"]
        await scripted_model.until(lambda bill: len(bill) == 3)
        make_backup(system_settings, tmp_path / "backup")
        assert (await first.say("After.", idle)).json()["turn"] == 2
        unknown = (await first.say("Unknown.")).json()["session_id"]
        await first.settled(under_way)
    paid = len(scripted_model.bill())
    restored = system_settings.model_copy(update={"database_url": empty_database_url, "data_dir": tmp_path / "new"})
    restore_backup(restored, tmp_path / "backup")
    items = await reconcile(restored)
    outcomes = {item.id: item.outcome for item in items}
    assert outcomes[f"{under_way}#1"] == outcomes[f"{held['session_id']}#1"] == "failed"
    assert outcomes[held["approval_id"]] == "withdrawn"
    assert outcomes[f"chat-{idle}"] == outcomes[f"chat-{unknown}"] == "terminated"
    assert [item for item in await reconcile(restored) if item.kind != "schedule"] == []
    async with running(restored) as second:
        await asyncio.sleep(QUIET_S)
        assert len(scripted_model.bill()) == paid
        await each_is_over(second, under_way, held["session_id"])
        for session, turn in ((idle, 2), (under_way, 2), (held["session_id"], 2), (unknown, 1)):
            assert (await second.say("Go on.", session)).json()["turn"] == turn


async def each_is_over(system: System, *sessions: str) -> None:
    for session in sessions:
        [turn] = (await system.session(session))["turns"]
        assert (turn["status"], turn["error"]["code"]) == ("failed", "RUN_LOST")


async def test_a_killed_reconciliation_is_repeated_and_a_worker_does_not_start_before(
    system_settings: Settings, scripted_model: ScriptedModel, empty_database_url: str, tmp_path: Path
) -> None:
    async with running(system_settings) as first:
        session = (await first.say("Under way. [[delay 3]]", wait=False)).json()["session_id"]
        await scripted_model.until(lambda bill: len(bill) == 1)
        make_backup(system_settings, tmp_path / "backup")
        await first.settled(session)
    restored = system_settings.model_copy(update={"database_url": empty_database_url, "data_dir": tmp_path / "new"})
    restore_backup(restored, tmp_path / "backup")
    with pytest.raises(Exception, match="not reconciled"):
        async with running(restored):
            pass
    once = named(await reconcile(restored))
    with psycopg.connect(empty_database_url) as connection:  # as if it had been killed before its last step
        connection.execute("UPDATE restores SET reconciled_at = NULL")
    assert once == {f"{session}#1"}
    assert named(await reconcile(restored)) == set()
    async with running(restored) as second:
        assert (await second.say("Go on.", session)).json()["turn"] == 2


async def test_a_firing_that_had_not_begun_does_not_begin_its_work_and_its_schedule_fires_at_its_next_times(
    system_settings: Settings, scripted_model: ScriptedModel, empty_database_url: str, tmp_path: Path
) -> None:
    async with running(system_settings):
        pass  # the registry is seeded, and its view has the agents
    async with running(system_settings, working=False) as first:
        made = await make(first, chat(), every_s=3600)
        firing = (await call(first, made, "trigger")).json()["id"]
        make_backup(system_settings, tmp_path / "backup")
    restored = system_settings.model_copy(update={"database_url": empty_database_url, "data_dir": tmp_path / "new"})
    restore_backup(restored, tmp_path / "backup")
    outcomes = {item.id: (item.kind, item.outcome) for item in await reconcile(restored)}
    assert outcomes == {firing: ("run", "terminated"), made["id"]: ("schedule", "settled")}
    async with running(restored) as second:
        described = await second.temporal.get_schedule_handle(made["id"]).describe()
        assert described.info.next_action_times
        assert await history(second, made) == []
    assert scripted_model.bill() == []


def named(items: list[SettledItem]) -> set[str]:
    return {item.id for item in items if item.kind == "turn"}
