"""A run of a runbook as events, and its view."""

from datetime import UTC, datetime

import pytest

from domain.errors import Conflict, Invalid, NotFound
from domain.events import Cause, Event, RecordedEvent
from domain.projection import Row
from domain.runbooks import aggregate
from domain.runbooks.aggregate import MOST_ATTEMPTS, RunbookRunRecord, StepFailure
from domain.runbooks.catalogue import RUNBOOKS, find_runbook
from domain.runbooks.events import RunbookRequested, RunbookStepEnded, RunbookStepStarted
from domain.runbooks.projection import RunbookRunRow, RunbooksProjection, RunbookStepRow

CAUSE = Cause("key_1", "req_1", datetime(2026, 11, 28, tzinfo=UTC), "acme")
RUN = "runbook_acme~1"
REQUESTED = RunbookRequested(run_id=RUN, runbook_id="vacuum", parameters={}, dry_run=False, **CAUSE.fields())


def after(*decided: list[Event]) -> RunbookRunRecord:
    return aggregate.load([REQUESTED, *(event for events in decided for event in events)])


def test_a_step_ends_once_and_the_first_end_stands() -> None:
    started = aggregate.start_step(after(), "inspect", CAUSE)
    ended = aggregate.end_step(after(started), "inspect", {"tables": 3}, None, CAUSE)
    assert [type(event) for event in (*started, *ended)] == [RunbookStepStarted, RunbookStepEnded]
    over = after(started, ended)
    assert aggregate.end_step(over, "inspect", {}, StepFailure("CONFLICT", "no"), CAUSE) == []
    assert aggregate.start_step(over, "inspect", CAUSE) == []


def test_attempts_are_counted_and_shown_up_to_a_limit() -> None:
    run = after()
    for attempt in range(1, MOST_ATTEMPTS + 1):
        [started] = aggregate.start_step(run, "inspect", CAUSE)
        assert isinstance(started, RunbookStepStarted)
        assert started.attempt == attempt
        run = aggregate.evolve(run, started)
    assert aggregate.start_step(run, "inspect", CAUSE) == []


def test_nothing_begins_in_a_run_that_has_ended() -> None:
    over = after(aggregate.end(after(), "cancelled", StepFailure("CANCELLED", "it was cancelled"), CAUSE))
    with pytest.raises(Conflict):
        aggregate.start_step(over, "inspect", CAUSE)
    assert aggregate.end(over, "completed", None, CAUSE) == []
    assert aggregate.request_approval(over, "approval_1", CAUSE) == []


def test_a_run_that_nobody_requested_has_no_steps() -> None:
    with pytest.raises(NotFound):
        aggregate.start_step(RunbookRunRecord(), "inspect", CAUSE)


def test_the_same_key_gives_the_same_run_in_its_tenant() -> None:
    assert aggregate.run_id_of("acme", "k") == aggregate.run_id_of("acme", "k")
    assert aggregate.run_id_of("acme", "k") != aggregate.run_id_of("zeta", "k")


@pytest.mark.parametrize("runbook_id", RUNBOOKS)
def test_every_runbook_has_a_step_that_changes_something(runbook_id: str) -> None:
    runbook = find_runbook(runbook_id)
    assert runbook.steps[runbook.first_change()].changes
    assert len({step.name for step in runbook.steps}) == len(runbook.steps)


@pytest.mark.parametrize(
    ("runbook_id", "given", "field"),
    [
        ("vacuum", {"table": []}, "parameters.table"),
        ("vacuum", {"tables": "talents"}, "parameters.tables"),
        ("vacuum", {"tables": ["talents; drop table talents"]}, "parameters.tables.0"),
        ("rebuild-projection", {}, "parameters.projection"),
        ("clear-cache", {"prefix": "convergio:rate:"}, "parameters.prefix"),
        ("clear-cache", {"prefix": "convergio:cache:*"}, "parameters.prefix"),
        ("expire-approvals", {"limit": 10**30}, "parameters.limit"),
        ("drain-worker", {"worker": "a\x00b"}, "parameters.worker"),
    ],
)
def test_parameters_are_refused_by_name(runbook_id: str, given: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        find_runbook(runbook_id).validate(given)
    assert refused.value.details["field"] == field


class Rows:
    """Rows in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[object, ...], Row] = {}

    def get(self, kind: type, *key: object) -> object:
        return self.kept.get((kind, *key))

    def put(self, row: Row) -> None:
        self.kept[type(row), *(getattr(row, name) for name in row.KEY)] = row


def test_the_view_shows_a_run_that_waited_went_on_and_failed() -> None:
    run, rows, projection = after(), Rows(), RunbooksProjection()
    statuses = []
    facts = [
        lambda _: [REQUESTED],
        lambda run: aggregate.request_approval(run, "approval_1", CAUSE),
        lambda run: aggregate.start_step(run, "inspect", CAUSE),
        lambda run: aggregate.start_step(run, "inspect", CAUSE),
        lambda run: aggregate.end_step(run, "inspect", {}, StepFailure("NOT_FOUND", "no table"), CAUSE),
        lambda run: aggregate.end(run, "failed", StepFailure("NOT_FOUND", "no table"), CAUSE),
    ]
    for position, fact in enumerate(facts, 1):
        for event in fact(run):
            run = aggregate.evolve(run, event) if event is not REQUESTED else run
            projection.project(RecordedEvent(position, aggregate.stream(RUN), position, event), rows)  # type: ignore[arg-type]
            statuses.append(rows.get(RunbookRunRow, RUN).status)  # type: ignore[attr-defined]
    assert statuses == ["running", "awaiting_approval", "running", "running", "running", "failed"]
    step = rows.get(RunbookStepRow, RUN, "inspect")
    assert isinstance(step, RunbookStepRow)
    assert (step.status, step.attempts, step.code) == ("failed", 2, "NOT_FOUND")
