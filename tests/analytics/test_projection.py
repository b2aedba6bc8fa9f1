"""The latest rating of each turn, on real tables."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from adapters.postgres.figures.analytics import PostgresAnalytics
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from domain.analytics.projection import RatingsProjection
from domain.chat.events import TurnRated
from domain.chat.ratings import stream
from domain.ledger import Change, Ledger
from domain.registry import event_registry
from domain.usage import UsagePeriod

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
MONTH = UsagePeriod(date(2026, 11, 1), date(2026, 11, 30), "UTC")


def rated(rating: int, *, session_id: str = "s1", turn: int = 1, hours: int = 0, **fields: Any) -> TurnRated:
    at = START + timedelta(hours=hours)
    known = {"by": "key_1", "because": "req_1", "at": at, "agent_id": "ada", **fields}
    return TurnRated(session_id=session_id, turn=turn, rating=rating, **known)


def test_the_last_rating_of_a_turn_counts_at_its_own_time(database_url: str) -> None:
    database, registry = Database(database_url), event_registry()
    database.open()
    ledger = Ledger(LedgerRecorder(database), registry)
    given = [
        [rated(1), rated(5, hours=1)],
        [rated(2, turn=2)],
        [rated(4, session_id="fork", turn=2, hours=30)],
        [rated(3, session_id="s2", agent_id="bob", hours=31)],
        [rated(1, session_id="acme~s1", tenant_id="acme")],
        [rated(1, session_id="s3", hours=24 * 40)],
    ]
    for events in given:
        place = stream(events[0].session_id, events[0].turn)
        ledger.append(Change(place, 0, events), key=place)
    ProjectionRunner(database_url, registry, [RatingsProjection()]).catch_up()
    reads = PostgresAnalytics(database)
    found = reads.quality("default", MONTH)
    assert (found.ratings, found.rating) == (4, pytest.approx(14 / 4))
    assert {each.agent_id: (each.quality.ratings, each.quality.rating) for each in reads.agents("default", MONTH)} == {
        "ada": (3, pytest.approx(11 / 3)),
        "bob": (1, 3),
    }
    assert reads.quality("acme", MONTH).rating == 1
    assert reads.quality("zeta", MONTH).rating is None
    first_day = UsagePeriod(MONTH.first, MONTH.first, "UTC")
    assert reads.quality("default", first_day).ratings == 2
    report = Rebuild(database_url, registry, RatingsProjection()).run()
    assert [(each.table, each.equal, each.live[0]) for each in report.comparisons] == [("turn_ratings", True, 6)]
    database.close()
