"""Decisions on schedules and firings, and their views."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from adapters.postgres.schedules import PostgresSchedules
from domain.content import Content
from domain.errors import Invalid, NotFound
from domain.events import Cause
from domain.ledger import Change, Ledger
from domain.registry import event_registry
from domain.schedules import aggregate, firing
from domain.schedules.commands import ScheduleCommands
from domain.schedules.definition import ScheduleDefinition
from domain.schedules.events import ScheduledRunAccepted, ScheduledRunRefused, ScheduleFired
from domain.schedules.policy import refuse_invalid
from domain.schedules.ports import ScheduleFilter
from domain.schedules.projection import SchedulesProjection

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
CAUSE = Cause("key_7", "req_1", AT, "acme")
ID = "schedule_acme~1"
DAILY = ScheduleDefinition(target_kind="chat", target_id="ada", target_hash="0" * 64, cron="0 8 * * *")


def made(*, paused: bool = False) -> aggregate.ScheduleRecord:
    return aggregate.load(aggregate.create(ID, DAILY, CAUSE, paused=paused))


def fire(schedule: aggregate.ScheduleRecord, trigger: str = "schedule") -> ScheduleFired | None:
    return firing.begin(schedule, ID, "firing_acme~1", CAUSE, scheduled_at=AT, trigger=trigger)  # type: ignore[arg-type]


def test_it_acts_as_whoever_defined_it_last() -> None:
    other = replace(CAUSE, by="key_8")
    events = aggregate.create(ID, DAILY, CAUSE, paused=False)
    events += aggregate.change(aggregate.load(events), ID, DAILY.model_copy(update={"cron": "0 9 * * *"}), other)
    events += aggregate.pause(aggregate.load(events), ID, replace(CAUSE, by="key_9"))
    schedule = aggregate.load(events)
    assert (schedule.created_by, schedule.maker, schedule.revision) == ("key_7", "key_8", 3)


def test_a_change_that_changes_nothing_is_none() -> None:
    assert aggregate.change(made(), ID, DAILY, CAUSE) == []
    assert aggregate.pause(made(paused=True), ID, CAUSE) == []
    assert aggregate.resume(made(), ID, CAUSE) == []


def test_a_paused_schedule_fires_by_hand_only() -> None:
    assert fire(made()) is not None
    assert fire(made(paused=True)) is None
    assert fire(made(paused=True), "manual") is not None


def test_a_deleted_schedule_neither_fires_nor_changes() -> None:
    schedule = aggregate.load([*aggregate.create(ID, DAILY, CAUSE, paused=False), *aggregate.delete(made(), ID, CAUSE)])
    assert fire(schedule) is None
    assert fire(schedule, "manual") is None
    for refused in (aggregate.pause, aggregate.resume, aggregate.delete):
        with pytest.raises(NotFound):
            refused(schedule, ID, CAUSE)


def test_the_id_of_a_firing_follows_from_schedule_and_time() -> None:
    ids = {
        firing.scheduled_firing_id(each, AT + timedelta(seconds=s)) for each in (ID, "schedule_1") for s in (0, 0, 1)
    }
    assert len(ids) == 4
    assert {each.startswith("firing_acme~") for each in ids} == {True, False}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"cron": None}, "cron"),
        ({"every_s": 60}, "cron"),
        ({"timezone": "Nowhere"}, "timezone"),
        ({"end_at": AT}, "end_at"),
        ({"start_at": AT + timedelta(days=2), "end_at": AT + timedelta(days=1)}, "end_at"),
    ],
)
def test_times_that_cannot_be_kept_are_refused(changes: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        refuse_invalid(DAILY.model_copy(update=changes), AT)
    assert refused.value.details["field"] == field


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=2)
    database.open()
    yield database
    database.close()


def test_the_views_show_what_happened_and_a_rebuild_gives_the_same(database_url: str, database: Database) -> None:
    registry = event_registry()
    ledger, content = Ledger(LedgerRecorder(database), registry), PostgresContent(database)
    commands, reads = ScheduleCommands(ledger), PostgresSchedules(database)
    name = Content(ID, "Täglich")
    definition = DAILY.model_copy(update={"name_hash": name.hash})
    commands.create(ID, definition, CAUSE, paused=True, texts=[name])
    commands.create(ID, definition, CAUSE, paused=False, texts=[])
    begun = fire(commands.load("acme", ID), "manual")
    assert begun is not None
    ids = {"schedule_id": ID, "firing_id": begun.firing_id}
    accepted = ScheduledRunAccepted(run_kind="chat", run_id="acme~s", target_id="ada", **ids, **CAUSE.fields())
    ledger.append(Change(firing.stream(begun.firing_id), 0, [begun, accepted]), key="1")
    later = begun.model_copy(update={"firing_id": "firing_acme~2", "scheduled_at": AT + timedelta(days=1)})
    reason = content.put(Content(ID, "there is no agent ada"))
    refused = ScheduledRunRefused(
        schedule_id=ID, firing_id=later.firing_id, code="NOT_FOUND", reason_hash=reason, **CAUSE.fields()
    )
    ledger.append(Change(firing.stream(later.firing_id), 0, [later, refused]), key="2")
    commands.resume(ID, CAUSE)
    ProjectionRunner(database_url, registry, [SchedulesProjection()]).catch_up()
    (found,) = reads.page(ScheduleFilter("acme"), skip=0, limit=10).schedules
    assert (found.name, found.row.paused, found.row.revision, found.row.cron) == ("Täglich", False, 3, "0 8 * * *")
    newest, oldest = reads.firings(ID, skip=0, limit=10).firings
    assert (newest.row.status, newest.row.code, newest.reason) == ("refused", "NOT_FOUND", "there is no agent ada")
    assert (oldest.row.status, oldest.row.run_id, oldest.reason) == ("accepted", "acme~s", None)
    assert (reads.count("acme"), reads.count("zeta"), len(reads.list_all("", 10))) == (1, 0, 1)
    assert all(each.equal for each in Rebuild(database_url, registry, SchedulesProjection()).run().comparisons)
    commands.delete(ID, CAUSE, check=lambda _: None)
    ProjectionRunner(database_url, registry, [SchedulesProjection()]).catch_up()
    assert reads.page(ScheduleFilter("acme"), skip=0, limit=10).total == 0
    assert (reads.count("acme"), reads.list_all("", 10)) == (0, [])
    with pytest.raises(NotFound):
        commands.load("acme", ID)


def test_a_schedule_of_another_tenant_is_none(database: Database) -> None:
    commands = ScheduleCommands(Ledger(LedgerRecorder(database), event_registry()))
    commands.create(ID, DAILY, CAUSE, paused=False, texts=[])
    for tenant_id in ("default", "zeta"):
        with pytest.raises(NotFound):
            commands.load(tenant_id, ID)
