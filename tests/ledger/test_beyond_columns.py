"""Events of an earlier release that no table can hold: every view goes on, live and rebuilt alike."""

from collections.abc import Sequence
from typing import Any

import pytest

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from domain import events
from domain.errors import Invalid
from domain.events import Event
from domain.ids import random_id
from domain.ledger import Change, Ledger
from domain.projection import Projection
from domain.registry import event_registry
from runtime.wiring.projections import projections
from tests.chat import test_projection as chat
from tests.costs import test_projection as costs

HUGE = 10**19
FITTING = events.MOST


def streams(tokens: int) -> list[tuple[str, list[Event]]]:
    """A turn and its call with these tokens, between others of a usual size."""

    def call(call_id: str, tokens: int) -> tuple[str, list[Event]]:
        ended = costs.settled(call_id, prompt_tokens=tokens, completion_tokens=tokens)
        return f"call:{call_id}", [costs.reserved(call_id), ended]

    def turn(session_id: str, tokens: int) -> list[tuple[str, list[Event]]]:
        answer = chat.answered(session_id=session_id).model_copy(update={"prompt_tokens": tokens})
        return [
            (f"session:{session_id}", [chat.opened(session_id=session_id)]),
            (f"turn:{session_id}:00000001", [chat.started(session_id=session_id), answer]),
        ]

    return [call("c1", 40), *turn("s1", 40), call("c2", tokens), *turn("s2", tokens), call("c3", 40), *turn("s3", 40)]


@pytest.fixture
def ledger(database_url: str) -> Any:
    database = Database(database_url)
    database.open()
    yield Ledger(LedgerRecorder(database), event_registry())
    database.close()


def append(ledger: Ledger, written: Sequence[tuple[str, list[Event]]]) -> None:
    for stream, events_ in written:
        ledger.append(Change(stream, 0, events_), key=random_id("k"))


def rebuilt(url: str, projection: Projection) -> int:
    """Rebuild a view, which must come out as it was; the events set aside."""
    done = Rebuild(url, event_registry(), projection).run()
    assert all(comparison.equal for comparison in done.comparisons), done
    return done.set_aside


def test_what_a_view_cannot_hold_does_not_get_into_the_ledger(ledger: Ledger) -> None:
    with pytest.raises(Invalid):
        append(ledger, streams(HUGE))


def test_every_view_is_rebuilt_whatever_the_runner_has_set_aside(
    database_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(events, "MOST", 10**30)
        append(ledger, streams(HUGE))
    runner = ProjectionRunner(database_url, event_registry(), projections())
    runner.catch_up()
    set_aside = {projection.name: rebuilt(database_url, projection) for projection in projections()}
    assert {name for name, events_ in set_aside.items() if events_} == {"chat", "costs"}


def test_every_view_holds_what_the_ledger_takes(database_url: str, ledger: Ledger) -> None:
    append(ledger, streams(FITTING))
    ProjectionRunner(database_url, event_registry(), projections()).catch_up()
    assert [rebuilt(database_url, projection) for projection in projections()] == [0] * len(projections())
