"""The figures on the views: days of a time zone, exact percentiles, and what counts."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from adapters.postgres.figures.analytics import PostgresAnalytics
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.runner import ProjectionRunner
from domain.chat.events import FailureCode, SessionOpened, TurnAnswered, TurnFailed, TurnHeld, TurnStarted
from domain.chat.projection import ChatProjection
from domain.chat.sessions import session_stream
from domain.chat.turns import turn_stream
from domain.costs.projection import CostsProjection
from domain.errors import Invalid
from domain.events import Event
from domain.ledger import Change, Ledger
from domain.registry import event_registry
from domain.usage import UsagePeriod, sum_usage
from tests.analytics.facts import percentile
from tests.costs.test_projection import reserved, settled

NIGHT = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)
"""The clocks of Berlin go back on 2026-10-25, so that day has 25 hours."""
WEEK = UsagePeriod(date(2026, 10, 23), date(2026, 10, 27), "UTC")


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    database = Database(database_url)
    database.open()
    yield Ledger(LedgerRecorder(database), event_registry())
    database.close()


@pytest.fixture
def reads(database_url: str) -> Iterator[PostgresAnalytics]:
    database = Database(database_url)
    database.open()
    yield PostgresAnalytics(database)
    database.close()


def project(database_url: str) -> None:
    ProjectionRunner(database_url, event_registry(), [ChatProjection(), CostsProjection()]).catch_up()


def _turn(
    session: str, turn: int, at: datetime, *, seconds: float, failing: FailureCode | None = None, held: bool = False
) -> list[Event]:
    cause = {"by": "key_1", "because": "req_1"}
    place = {"session_id": session, "turn": turn, "message_id": f"{session}-{turn}"}
    agent = {"agent_id": "ada", "agent_version": 1, "model": "some/model", "message_hash": "h"}
    events: list[Event] = [TurnStarted(**place, **agent, **cause, at=at)]
    end = {**place, **cause, "at": at + timedelta(seconds=seconds)}
    if held:
        events.append(TurnHeld(**place, **cause, at=at, approval_id="approval_1"))
    if failing:
        return [*events, TurnFailed(**end, code=failing, message="no")]
    spent = {"prompt_tokens": 1, "completion_tokens": 1, "cost": Decimal(0), "finish": "stop", "model": "some/model"}
    return [*events, TurnAnswered(**end, reply_hash="r", **spent)]


def converse(ledger: Ledger, session: str, at: datetime, *turns: list[Event]) -> None:
    """Record a session with these turns; one inside another has no opening."""
    if "/" not in session:
        cause = {"by": "key_1", "because": "req_1", "at": at}
        opened = SessionOpened(session_id=session, agent_id="ada", key_id="key_1", workflow_id="w", **cause)
        ledger.append(Change(session_stream(session), 0, [opened]), key=session)
    for number, events in enumerate(turns, 1):
        ledger.append(Change(turn_stream(session, number), 0, events), key=f"{session}-{number}")


def test_days_are_those_of_the_time_zone_without_gaps(
    ledger: Ledger, reads: PostgresAnalytics, database_url: str
) -> None:
    for hours in (0, 1, 25, 26):
        at = NIGHT + timedelta(hours=hours)
        ledger.append(
            Change(f"call:c{hours}", 0, [reserved(f"c{hours}", at=at), settled(f"c{hours}")]), key=f"c{hours}"
        )
        converse(ledger, f"s{hours}", at, _turn(f"s{hours}", 1, at, seconds=1))
    project(database_url)

    def shown(time_zone: str) -> list[tuple[int, int, int]]:
        days = reads.daily("default", UsagePeriod(WEEK.first, WEEK.last, time_zone))
        assert [each.day.day for each in days] == [23, 24, 25, 26, 27]
        return [(each.usage.requests, each.usage.conversations, each.usage.turns) for each in days]

    assert shown("Europe/Berlin") == [(n, n, n) for n in (0, 1, 2, 1, 0)]
    assert shown("UTC") == [(n, n, n) for n in (0, 2, 2, 0, 0)]
    total = sum_usage(reads.daily("default", WEEK))
    assert (total.cost, total.requests, total.tokens) == (Decimal("0.004"), 4, 4 * 47)
    part = UsagePeriod(WEEK.first, WEEK.last, "Europe/Berlin", since=NIGHT + timedelta(hours=1))
    assert [each.usage.requests for each in reads.daily("default", part)] == [0, 0, 2, 1, 0]
    assert sum_usage(reads.daily("acme", WEEK)).requests == 0
    with pytest.raises(Invalid):
        reads.daily("default", UsagePeriod(WEEK.first, WEEK.last, "Mars/Base"))


@pytest.mark.parametrize(
    "case",
    [
        # clocks go back from 01:00 to 00:00: the day has two midnights, and begins at the first one
        ("Atlantic/Azores", "2026-10-24", ["10-24T23:59", "10-25T00:00", "10-25T00:30", "10-26T00:59"], [1, 3, 0]),
        # clocks go forward from 00:00 to 01:00: the day has no midnight
        ("Africa/Cairo", "2026-04-23", ["04-23T21:59", "04-23T22:00", "04-24T20:59", "04-24T21:00"], [1, 2, 1]),
        # a whole day does not exist
        ("Pacific/Apia", "2011-12-29", ["12-30T09:59", "12-30T10:00"], [1, 0, 1]),
        ("Asia/Kathmandu", "2026-10-24", ["10-24T18:14", "10-24T18:15"], [1, 1, 0]),
    ],
)
def test_each_moment_is_on_one_day(
    ledger: Ledger, reads: PostgresAnalytics, database_url: str, case: tuple[str, str, list[str], list[int]]
) -> None:
    time_zone, first, moments, counts = case
    start = date.fromisoformat(first)
    for moment in moments:
        at = datetime.fromisoformat(f"{start.year}-{moment}:00+00:00")
        ledger.append(Change(f"call:{moment}", 0, [reserved(moment, at=at), settled(moment)]), key=moment)
        day = at.astimezone(ZoneInfo(time_zone)).date()
        assert counts[(day - start).days] > 0
    project(database_url)
    found = reads.daily("default", UsagePeriod(start, start + timedelta(days=2), time_zone))
    assert [each.usage.requests for each in found] == counts
    for each, count in zip(found, counts, strict=True):
        alone = UsagePeriod(each.day, each.day, time_zone)
        assert [one.usage.requests for one in reads.daily("default", alone)] == [count]
        assert sum(agent.requests for agent in reads.agents("default", alone)) == count


def test_percentiles_are_exact(ledger: Ledger, reads: PostgresAnalytics, database_url: str) -> None:
    chance = random.Random(7)  # noqa: S311  (no secret)
    times = [round(chance.expovariate(0.5), 6) for _ in range(101)]
    converse(ledger, "s", NIGHT, *(_turn("s", n, NIGHT, seconds=time) for n, time in enumerate(times, 1)))
    project(database_url)
    found = reads.quality("default", WEEK).times
    assert found.average == pytest.approx(sum(times) / len(times), abs=1e-6)
    shown = [found.p50, found.p95, found.p99]
    assert shown == [pytest.approx(percentile(times, share), abs=1e-6) for share in (0.5, 0.95, 0.99)]
    assert all(before is not None and after is not None and before < after for before, after in pairwise(shown))
    [agent] = reads.agents("default", WEEK)
    assert agent.quality.times == found
    assert (agent.turns, agent.conversations, agent.quality.completed) == (101, 1, 101)


def test_what_a_person_stopped_rejected_or_held_is_no_failure_and_is_not_timed(
    ledger: Ledger, reads: PostgresAnalytics, database_url: str
) -> None:
    converse(
        ledger,
        "s",
        NIGHT,
        _turn("s", 1, NIGHT, seconds=2),
        _turn("s", 2, NIGHT, seconds=3, failing="UPSTREAM_ERROR"),
        _turn("s", 3, NIGHT, seconds=3, failing="CANCELLED"),
        _turn("s", 4, NIGHT, seconds=3, failing="REJECTED"),
        _turn("s", 5, NIGHT, seconds=900, held=True),
    )
    converse(ledger, "task_1/ada", NIGHT, _turn("task_1/ada", 1, NIGHT, seconds=4))
    project(database_url)
    found = reads.quality("default", WEEK)
    assert (found.completed, found.failed, found.success_rate) == (3, 1, 0.75)
    assert (found.times.average, found.times.p50) == (3, 3)
    [agent] = reads.agents("default", WEEK)
    assert (agent.turns, agent.conversations) == (5, 1), "turns inside of a swarm are no turns of a conversation"
    assert agent.quality == found


def test_figures_of_nothing_are_null_and_not_zero(reads: PostgresAnalytics) -> None:
    found = reads.quality("default", WEEK)
    assert (found.completed, found.failed, found.success_rate, found.rating) == (0, 0, None, None)
    assert (found.times.average, found.times.p95) == (None, None)
    assert reads.agents("default", WEEK) == []
