"""What a swarm's workflow records, on a real ledger: once, whoever comes first and however often."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.swarm.activities import SwarmActivities
from activities.swarm.messages import (
    EndSwarmRequest,
    HeldSwarmResult,
    SwarmMember,
    SwarmResultParts,
    SwarmRunRequest,
    seconds_left,
)
from activities.swarm.request import record_request
from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.content import Content, content_hash
from domain.errors import NotFound
from domain.events import Event
from domain.ledger import Ledger
from domain.message_parts import MessagePart
from domain.registry import event_registry
from domain.swarm.events import SwarmEnded, SwarmHeld, SwarmRequested

AT = datetime(2026, 11, 1, tzinfo=UTC)
ASKED = SwarmRunRequest(
    task_id="task_1",
    mode="parallel",
    members=[SwarmMember("ada", 2, "high")],
    coordinator=SwarmMember("ali", 1),
    key_id="key_1",
    because="req_1",
    task_hash="task",
    rounds=2,
    deadline="2026-11-01T01:00:00+00:00",
    budget_usd="1.50",
    project_id="7",
)


class Place:
    """The activities, and what stands in the ledger."""

    def __init__(self, database: Database) -> None:
        self.ledger = Ledger(LedgerRecorder(database), event_registry())
        self.content = PostgresContent(database)
        self.swarms = SwarmActivities(self.ledger, self.content, lambda: AT, model_queue="models")

    def events(self) -> list[Event]:
        return self.ledger.read("swarm:task_1")

    def text(self, text_hash: str | None) -> str:
        return self.content.get("task_1", [text_hash or ""])[text_hash or ""]


@pytest.fixture
def place(database_url: str) -> Iterator[Place]:
    database = Database(database_url)
    database.open()
    yield Place(database)
    database.close()


def ending(**more: Any) -> EndSwarmRequest:
    return EndSwarmRequest(**{"asked": ASKED, "status": "completed", "seen": 1, **more})


def test_whoever_comes_first_records_that_it_was_asked_for(place: Place) -> None:
    record_request(place.ledger, ASKED, AT)
    assert place.swarms.begin_swarm(ASKED).model_queue == "models"
    place.swarms.begin_swarm(ASKED)
    [event] = place.events()
    assert isinstance(event, SwarmRequested)
    assert (event.members[0].hold, event.deadline, str(event.budget_usd)) == ("high", AT + timedelta(hours=1), "1.50")
    assert (event.by, event.because, event.at) == ("key_1", "req_1", AT)


def test_a_result_that_is_one_text_is_that_text(place: Place) -> None:
    place.swarms.begin_swarm(ASKED)
    text_hash = place.content.put(Content("task_1", "All of it."))
    assert place.swarms.end_swarm(ending(result=[MessagePart(hash=text_hash)])) == text_hash
    assert place.swarms.end_swarm(ending(result=[MessagePart(hash=text_hash)])) == text_hash
    _, event = place.events()
    assert isinstance(event, SwarmEnded)
    assert (event.status, event.result_hash, event.partial) == ("completed", text_hash, False)


def test_a_result_of_several_texts_is_written_and_stored(place: Place) -> None:
    place.swarms.begin_swarm(ASKED)
    inside = place.content.put(Content("task_1", '{"options": ["Stay.", "Go."]}'))
    parts = [MessagePart(hash=inside, at=["options", 1]), MessagePart("\n\nSo it is.")]
    result_hash = place.swarms.end_swarm(ending(result=parts))
    assert result_hash == content_hash("Go.\n\nSo it is.")
    assert place.text(result_hash) == "Go.\n\nSo it is."


def test_an_end_without_a_beginning_records_both(place: Place) -> None:
    place.swarms.end_swarm(ending(status="cancelled", seen=0, reason="it was cancelled by request"))
    assert [event.NAME for event in place.events()] == ["swarm.requested", "swarm.ended"]


def test_the_first_end_stands_though_the_run_knows_less_than_the_ledger(place: Place) -> None:
    place.swarms.begin_swarm(ASKED)
    place.swarms.hold_swarm(HeldSwarmResult(ASKED, "approval_1", "result"))
    place.swarms.end_swarm(ending(status="rejected", seen=1))
    place.swarms.end_swarm(ending(status="completed", seen=2))
    assert [event.NAME for event in place.events()] == ["swarm.requested", "swarm.held", "swarm.ended"]
    last = place.events()[-1]
    assert isinstance(last, SwarmEnded)
    assert last.status == "rejected"


def test_a_result_is_there_to_be_looked_at_before_it_is_said_to_be_held(place: Place) -> None:
    place.swarms.begin_swarm(ASKED)
    result_hash = place.swarms.write_result(
        SwarmResultParts("task_1", [MessagePart("## ada\n\n"), MessagePart("Words.")])
    )
    assert place.text(result_hash) == "## ada\n\nWords."
    for _ in range(2):
        place.swarms.hold_swarm(HeldSwarmResult(ASKED, "approval_1", result_hash))
    _, event = place.events()
    assert isinstance(event, SwarmHeld)
    assert (event.approval_id, event.result_hash) == ("approval_1", result_hash)


def test_texts_that_were_erased_are_no_reason_not_to_end(place: Place) -> None:
    place.swarms.begin_swarm(ASKED)
    gone = [MessagePart("## ada\n\n"), MessagePart(hash="gone")]
    with pytest.raises(NotFound):
        place.swarms.write_result(SwarmResultParts("task_1", gone))
    assert place.swarms.end_swarm(ending(status="cancelled", result=gone, partial=True)) is None
    _, event = place.events()
    assert isinstance(event, SwarmEnded)
    assert (event.partial, event.result_hash) == (False, None)


def test_time_runs_out_and_not_below_nothing() -> None:
    assert seconds_left(ASKED, AT) == 3600
    assert seconds_left(ASKED, AT + timedelta(hours=2)) == 0
