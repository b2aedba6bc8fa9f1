"""Limits on a real ledger: held in the append of each reservation, whoever races, and rebuilt from the events."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import psycopg
import pytest

from activities.costs.bookkeeping import CostLedger
from activities.costs.joint_append import Companion
from activities.costs.reservation import Reservation
from activities.knowledge.embedding_calls import EmbeddingCall, EmbeddingCalls
from adapters.postgres.billing.limits import PostgresLimits
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.migrate import DIRECTORY, migrate
from adapters.postgres.projections.inline_rebuild import InlineRebuild
from domain.chat import turns
from domain.chat.events import TurnStarted
from domain.chat.model_port import Usage
from domain.costs import aggregate
from domain.costs.aggregate import CallIntent, SettledReply
from domain.costs.events import CallReconciled
from domain.costs.limits.breach import LimitReached
from domain.costs.limits.commands import LimitChange, LimitCommands
from domain.costs.limits.events import AllowanceGranted, Window
from domain.costs.limits.ports import LimitView
from domain.costs.limits.projection import CounterRow, LimitsProjection
from domain.costs.limits.scopes import RUN_START, window_end, window_start
from domain.events import Cause
from domain.ledger import Change, Ledger
from domain.registry import event_registry
from domain.revocations import RevocableWork, Revocations, Revoked, attempt_key
from tests.costs.test_books import COST, REPLY, TokenPrices, failure
from tests.costs.test_domain import INTENT

CENT = Decimal("0.01")
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
ALONE = Companion("turn:none", lambda _: [])
KEY: tuple[str, Window] = ("key:default/key_1", "month")


@dataclass
class Books:
    """A ledger, and a clock that is set by hand."""

    database: Database
    at: datetime = NOON

    def __post_init__(self) -> None:
        self.ledger = Ledger(LedgerRecorder(self.database), event_registry())
        self.calls = CostLedger(self.ledger, TokenPrices(), lambda: self.at)
        self.reads = PostgresLimits(self.database)

    def limit(self, scope: str, window: Window, usd: str | None, on_breach: Any = "fail") -> None:
        change = LimitChange(scope, window, None if usd is None else Decimal(usd), on_breach)
        cause = Cause("key_op", "req_1", self.at, "default")
        LimitCommands(self.ledger).set_limits([change], cause, check=lambda _: None)

    def reserve(self, call: object, worst: Decimal = CENT, **more: Any) -> Reservation:
        intent = replace(INTENT, call_id=f"call-{call}", worst_case=worst, priced_at=self.at, **more)
        return reserved(self.calls, intent)

    def grant(self, run_id: str, limit: tuple[str, Window], usd: str) -> None:
        version, _ = self.ledger.read_latest(f"allowance:{run_id}")
        scope, window = limit
        event = AllowanceGranted(
            run_id=run_id,
            scope=scope,
            window=window,
            starts=window_start(window, self.at.date()),
            amount_usd=Decimal(usd),
            approval_id=f"approval_{version}",
            **self.cause(),
        )
        self.ledger.append(Change(f"allowance:{run_id}", version, [event]), key=f"grant:{run_id}:{version}")

    def cause(self) -> dict[str, Any]:
        return Cause("key_1", "req_1", self.at, "default").fields()

    def view(self, scope: str, window: Window) -> LimitView:
        [found] = self.reads.by_name([(scope, window)], self.at.date())
        return found

    def sums(self, scope: str, window: Window) -> tuple[Decimal, Decimal, Decimal]:
        charge = self.view(scope, window).charge
        return charge.spent, charge.reserved, charge.unknown


def reserved(calls: CostLedger, intent: CallIntent) -> Reservation:
    made = calls.reserve(intent, ALONE, "req_1", untried=True)
    assert isinstance(made, Reservation)
    return made


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    database = Database(database_url, size=8)
    database.open()
    yield Books(database)
    database.close()


class Counted:
    """The rows of a fold, in memory."""

    def __init__(self) -> None:
        self.rows: dict[Any, Any] = {}

    def get(self, kind: type[Any], *key: object) -> Any:
        return self.rows.get((kind, key))

    def several(self, kind: type[Any], keys: Any) -> list[Any]:
        return [self.rows[kind, tuple(key)] for key in keys if (kind, tuple(key)) in self.rows]

    def put(self, row: Any) -> None:
        self.rows[type(row), tuple(getattr(row, name) for name in row.KEY)] = row

    def drop(self, kind: type[Any], *key: object) -> None:
        self.rows.pop((kind, key), None)


def highest(ledger: Ledger, scope: str) -> Decimal:
    """The most that the calls of a scope have cost together, at any event of the ledger."""
    fold, rows, most = LimitsProjection(), Counted(), Decimal(0)
    position = 0
    while events := ledger.after(position, 1_000):
        for recorded in events:
            fold.project(recorded, rows)
            counters = [row for (kind, _), row in rows.rows.items() if kind is CounterRow and row.scope == scope]
            most = max(most, sum((row.spent + row.reserved + row.unknown for row in counters), Decimal(0)))
        position = events[-1].position
    return most


def test_reservations_that_race_from_several_processes_fill_a_limit_exactly(books: Books, database_url: str) -> None:
    """Each recorder groups the appends of its own threads, as each process does."""
    books.limit("global", "day", "1.00")
    others = [Books(books.database) for _ in range(3)]
    tries = 240

    def attempt(number: int) -> Reservation | None:
        try:
            return others[number % 3].reserve(number)
        except LimitReached:
            return None

    with ThreadPoolExecutor(30) as pool:
        passed = [made for made in pool.map(attempt, range(tries)) if made is not None]
    assert len(passed) == 100
    assert highest(books.ledger, "global") == Decimal("1.00")
    assert books.sums("global", "day") == (0, 1, 0)
    assert books.view("global", "day").remaining == 0


def test_settlements_among_the_racing_reservations_make_room_and_none_is_counted_too_early(books: Books) -> None:
    books.limit(*KEY, "0.05")
    others = [Books(books.database) for _ in range(2)]

    def attempt(number: int) -> bool:
        own = others[number % 2]
        try:
            own.calls.settle(own.reserve(number), REPLY, ALONE, "req_1")
        except LimitReached:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        done = sum(pool.map(attempt, range(120)))
    spent = COST * done
    assert books.sums(*KEY) == (spent, 0, 0)
    assert done >= 5
    assert highest(books.ledger, KEY[0]) <= Decimal("0.05")


def test_the_refusal_names_the_limit_and_nothing_is_recorded(books: Books) -> None:
    books.limit(*KEY, "0.025")
    books.calls.settle(books.reserve(1), REPLY, ALONE, "req_1")
    books.reserve(2)
    before = books.ledger.head()
    with pytest.raises(LimitReached, match=r"limit on key:key_1 for the month from 2026-11-01, \$0\.025") as caught:
        books.reserve(3, Decimal("0.02"))
    assert books.ledger.head() == before
    assert caught.value.details == {
        "reason": "exceeded",
        "scope": "key:key_1",
        "window": "month",
        "starts": "2026-11-01",
        "limit_usd": "0.025",
        "spent_usd": "0.0012",
        "reserved_usd": "0.01",
        "asked_usd": "0.02",
        "on_breach": "fail",
        "run_id": "chat-s1",
        "model": "some/model",
    }


def test_a_caller_is_not_told_what_all_tenants_together_spend(books: Books) -> None:
    books.limit("global", "month", "0.001")
    with pytest.raises(LimitReached) as caught:
        books.reserve(1)
    assert not {"spent_usd", "reserved_usd"} & caught.value.details.keys()
    assert caught.value.details["scope"] == "global"


@pytest.mark.parametrize(
    ("window", "last", "first"),
    [
        ("day", datetime(2026, 11, 18, 23, 59, 59, 999_999, UTC), datetime(2026, 11, 19, tzinfo=UTC)),
        ("week", datetime(2026, 11, 22, 23, 59, 59, 999_999, UTC), datetime(2026, 11, 23, tzinfo=UTC)),
        ("month", datetime(2026, 12, 31, 23, 59, 59, 999_999, UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_new_window_starts_at_zero_whatever_is_open_from_the_one_before(
    books: Books, window: Window, last: datetime, first: datetime
) -> None:
    books.at = last
    books.limit("agent:default/ada", window, "0.01")
    open_call = books.reserve(1)
    with pytest.raises(LimitReached):
        books.reserve(2)
    books.at = first
    assert books.sums("agent:default/ada", window) == (0, 0, 0)
    books.reserve(3)
    books.calls.settle(open_call, REPLY, ALONE, "req_1")
    assert books.sums("agent:default/ada", window) == (0, CENT, 0), "an end counts in the window of its reservation"
    books.at = last
    assert books.sums("agent:default/ada", window) == (COST, 0, 0)


def test_windows_have_no_gap_and_no_overlap() -> None:
    windows: tuple[Window, ...] = ("day", "week", "month")
    for window in windows:
        for n in range(800):
            day = date(2023, 12, 1) + timedelta(days=n)
            start = window_start(window, day)
            end = window_end(window, start)
            assert end is not None
            assert start <= day < end
            assert window_start(window, end) == end
    assert (window_start("run", date(2026, 1, 1)), window_end("run", RUN_START)) == (RUN_START, None)


def test_the_database_has_the_same_windows(books: Books) -> None:
    days = [date(2023, 12, 1) + timedelta(days=n) for n in range(800)]
    with books.database.connection() as connection:
        for window in ("day", "week", "month", "run"):
            rows = connection.execute(
                "SELECT d, cost_window_start(%s, d), nullif(cost_window_end(%s, cost_window_start(%s, d)), 'infinity')"
                " FROM unnest(%s::date[]) AS d",
                (window, window, window, days),
            ).fetchall()
            for day, start, end in rows:
                assert (start, end) == (window_start(window, day), window_end(window, window_start(window, day)))


SCOPES = [
    "global",
    "tenant:default",
    "key:default/key_1",
    "agent:default/ada",
    "project:default/p1",
    "workflow:default/task_1",
    "workflow:default/exec_1",
]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_call_counts_in_every_scope_that_it_is_in(books: Books, scope: str) -> None:
    """The run is a swarm inside an execution: a limit on the execution covers what is below it."""
    books.limit(scope, "month", "0.01")
    where = {"workflow_id": "task_1", "project_id": "p1", "enclosing_runs": ("exec_1",)}
    books.reserve(1, **where)
    with pytest.raises(LimitReached):
        books.reserve(2, **where)
    assert books.sums(scope, "month") == (0, CENT, 0)


def test_the_limit_of_a_run_has_no_end(books: Books) -> None:
    books.limit("workflow:default/chat-s1", "run", "0.02")
    books.reserve(1)
    books.at += timedelta(days=400)
    books.reserve(2)
    with pytest.raises(LimitReached):
        books.reserve(3)


def test_what_another_tenant_calls_by_the_same_name_counts_apart(books: Books) -> None:
    books.limit("agent:acme/ada", "month", "0.01")
    books.limit("tenant:acme", "month", "0.02")
    books.reserve("default")
    books.reserve("acme", session_id="acme~s1")
    with pytest.raises(LimitReached, match="agent:ada"):
        books.reserve("acme-again", session_id="acme~s1")
    assert books.sums("agent:acme/ada", "month") == books.sums("tenant:acme", "month") == (0, CENT, 0)


ENDS: dict[str, tuple[Callable[[Books, Reservation], object], tuple[Decimal, Decimal, Decimal]]] = {
    "settled": (lambda b, r: b.calls.settle(r, REPLY, ALONE, "req_1"), (COST, Decimal(0), Decimal(0))),
    "failed": (lambda b, r: b.calls.fail(r, failure("none"), "req_1"), (Decimal(0), Decimal(0), Decimal(0))),
    "cut": (
        lambda b, r: b.calls.fail(r, failure("partial", Usage(3, 1)), "req_1"),
        (Decimal("0.0004"), Decimal(0), Decimal(0)),
    ),
    "unknown": (
        lambda b, r: b.calls.lose_overdue(r.intent.call_id, r.attempt, "req_1"),
        (Decimal(0), Decimal(0), CENT),
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_call_releases_what_it_did_not_cost(books: Books, end: str) -> None:
    books.limit(*KEY, "5")
    act, sums = ENDS[end]
    made = books.reserve(1)
    act(books, made)
    assert books.sums(*KEY) == sums
    act(books, made)
    assert books.sums(*KEY) == sums, "an end that is told twice counts once"


def test_a_lost_attempt_counts_at_its_worst_case_until_its_reply_or_an_invoice_comes(books: Books) -> None:
    books.limit(*KEY, "5")
    late, billed = books.reserve(1), books.reserve(2)
    for made in (late, billed):
        assert books.calls.lose_overdue(made.intent.call_id, made.attempt, "req_1")
    assert books.sums(*KEY) == (0, 0, 2 * CENT)
    books.calls.settle(late, REPLY, ALONE, "req_1")
    assert books.sums(*KEY) == (COST, 0, CENT)
    paid = Decimal("0.007")
    ended = CallReconciled(
        call_id="call-2",
        attempt=1,
        reconciliation_id="r",
        line=1,
        charged=True,
        prompt_tokens=1,
        completion_tokens=1,
        cost=paid,
        **books.cause(),
    )
    called = books.ledger.read("call:call-2")
    books.ledger.append(
        Change("call:call-2", len(called), aggregate.reconcile(aggregate.load(called), ended)), key="reconcile"
    )
    assert books.sums(*KEY) == (COST + paid, 0, 0)
    books.calls.settle(billed, REPLY, ALONE, "req_1")
    assert books.sums(*KEY) == (COST + paid, 0, 0), "a late reply stands at the cost of the invoice"


def test_the_next_attempt_at_a_call_is_reserved_beside_the_unknown_one(books: Books) -> None:
    books.limit(*KEY, "0.02")
    books.reserve(1)
    again = books.calls.reserve(replace(INTENT, worst_case=CENT, priced_at=NOON), ALONE, "req_1", untried=False)
    assert isinstance(again, Reservation)
    assert again.attempt == 2
    assert books.sums(*KEY) == (0, CENT, CENT)


def test_a_settled_call_is_returned_although_the_limit_is_reached(books: Books) -> None:
    books.limit(*KEY, "0.01")
    intent = replace(INTENT, worst_case=CENT)
    books.calls.settle(reserved(books.calls, intent), REPLY, ALONE, "req_1")
    books.limit(*KEY, "0.001")
    assert isinstance(books.calls.reserve(intent, ALONE, "req_1", untried=True), SettledReply)


def test_a_limit_counts_what_its_window_has_spent_before_it_was_set(books: Books) -> None:
    books.calls.settle(books.reserve(1), REPLY, ALONE, "req_1")
    books.reserve(2)
    books.limit(*KEY, "0.0212")
    assert books.sums(*KEY) == (COST, CENT, 0)
    books.reserve(3)
    with pytest.raises(LimitReached):
        books.reserve(4, Decimal("0.0001"))
    books.limit(*KEY, "0.01")
    assert (books.view(*KEY).remaining, books.view(*KEY).version) == (0, 2)
    books.limit(*KEY, None)
    books.reserve(5)
    assert books.reads.by_name([KEY], NOON.date()) == []


def test_a_model_without_a_known_price_is_refused_under_a_limit_and_a_free_one_is_not(books: Books) -> None:
    unknown = {"worst": Decimal(0), "price_version": "none"}
    books.reserve(1, **unknown)
    books.limit(*KEY, "0", "ask")
    with pytest.raises(LimitReached, match="price of some/model is not known") as caught:
        books.reserve(2, **unknown)
    assert not caught.value.breach.is_askable
    books.reserve(3, Decimal(0))
    with pytest.raises(LimitReached):
        books.reserve(4, Decimal("0.000001"))


class Uncalled:
    """An embedder, and the choice of one, that nobody may call."""

    default = "some/embedder"

    def of(self, model: str | None) -> Any:
        del model
        return self

    async def embed(self, texts: Any, *, request_id: str) -> Any:
        raise AssertionError(f"{request_id} was made: {texts}")


async def test_a_call_for_embeddings_is_under_the_same_limits(books: Books) -> None:
    books.limit("agent:default/librarian", "day", "0.0001")
    content: Any = None
    calls = EmbeddingCalls(books.calls, Uncalled(), content, lambda: books.at)
    wanted = EmbeddingCall(
        call_id="call-1",
        model="some/embedder",
        texts=["What is said about it?"],
        agent_id="librarian",
        session_id="search-1",
        workflow_id="search-1",
        key_id="key_1",
        because="req_1",
    )
    with pytest.raises(LimitReached, match="agent:librarian"):
        await calls.embed(wanted)
    books.reserve(2, kind="embedding", agent_id="librarian", worst=Decimal("0.0001"))
    assert books.sums("agent:default/librarian", "day") == (0, Decimal("0.0001"), 0)


def test_limits_that_stand_as_they_are_record_nothing(books: Books) -> None:
    books.limit(*KEY, "1", "ask")
    head = books.ledger.head()
    books.limit(*KEY, "1.0", "ask")
    books.limit("agent:default/nobody", "day", None)
    assert books.ledger.head() == head
    books.limit(*KEY, "1", "fail")
    assert (books.view(*KEY).on_breach, books.view(*KEY).version) == ("fail", 2)


def test_an_allowance_is_its_runs_own_and_leaves_the_limit_to_the_others(books: Books) -> None:
    books.limit(*KEY, "0.02", "ask")
    early = books.reserve(1, workflow_id="task_1")
    with pytest.raises(LimitReached) as caught:
        books.reserve(2, Decimal("0.015"), workflow_id="task_1")
    assert caught.value.breach.is_askable
    books.grant("task_1", KEY, "0.03")
    books.reserve(2, Decimal("0.015"), workflow_id="task_1")
    books.reserve(3, Decimal("0.015"), workflow_id="task_1")
    with pytest.raises(LimitReached, match=r"allowance of \$0\.03") as caught:
        books.reserve(4, Decimal("0.001"), workflow_id="task_1")
    assert caught.value.details["granted_usd"] == "0.03"
    assert books.view(*KEY).remaining == CENT, "what was reserved before the allowance counts against the limit"
    books.reserve(5)
    with pytest.raises(LimitReached, match="limit on key:key_1"):
        books.reserve(6)
    view = books.view(*KEY)
    assert (view.charge.total, view.granted, view.allowed, view.remaining) == (
        Decimal("0.05"),
        Decimal("0.03"),
        Decimal("0.03"),
        0,
    )
    books.calls.settle(early, REPLY, ALONE, "req_1")
    assert books.view(*KEY).remaining == CENT - COST


def test_an_allowance_ends_with_its_window(books: Books) -> None:
    books.limit("agent:default/ada", "day", "0.01", "ask")
    books.grant("chat-s1", ("agent:default/ada", "day"), "0.02")
    books.reserve(1, Decimal("0.02"))
    books.at += timedelta(days=1)
    books.reserve(2)
    with pytest.raises(LimitReached, match="limit on agent:ada"):
        books.reserve(3)


def started(books: Books) -> Companion:
    """The start of a chat's turn."""
    begun = TurnStarted(
        session_id="s1", turn=1, message_id="m1", message_hash="h", agent_id="ada", agent_version=1, model="m",
        **books.cause(),
    )  # fmt: skip
    return Companion(turns.turn_stream("s1", 1), lambda known: turns.start(turns.load_turn(known), begun))


def test_a_turn_that_waits_for_money_is_recorded_once_and_its_call_is_reserved_later(books: Books) -> None:
    turn = started(books)
    for _ in range(2):
        books.calls.begin_without_call(INTENT, turn)
    assert [event.NAME for event in books.ledger.read(turn.stream)] == [TurnStarted.NAME]
    made = books.calls.reserve(INTENT, turn, "req_1", untried=True)
    assert isinstance(made, Reservation)
    assert (made.attempt, len(books.ledger.read(turn.stream))) == (1, 1)
    books.calls.settle(made, REPLY, ALONE, "req_1")
    assert isinstance(books.calls.reserve(INTENT, turn, "req_1", untried=True), SettledReply)


def test_work_that_was_revoked_does_not_wait_for_money(books: Books) -> None:
    work = RevocableWork(attempt_key(INTENT.call_id, 1), None)
    assert Revocations(books.ledger).revoke(work, Cause("key_1", "req_1", NOON, "default"))
    for act in (
        lambda: books.calls.begin_without_call(INTENT, started(books)),
        lambda: books.calls.reserve(INTENT, started(books), "req_1", untried=True),
    ):
        with pytest.raises(Revoked):
            act()
    assert books.ledger.read(started(books).stream) == []


def test_work_that_waits_for_money_was_begun_and_cannot_be_revoked(books: Books) -> None:
    books.calls.begin_without_call(INTENT, started(books))
    work = RevocableWork(attempt_key(INTENT.call_id, 1), None)
    assert not Revocations(books.ledger).revoke(work, Cause("key_1", "req_1", NOON, "default"))


def live_for_a_while(books: Books, seed: int, steps: int = 150) -> None:
    """Calls of several runs, keys and days that end in all ways, with limits and allowances among them."""
    chance, numbers = random.Random(seed), count(1)  # noqa: S311  (chance, not secrecy)
    open_calls: list[Reservation] = []
    for _ in range(steps):
        books.at += timedelta(hours=chance.randrange(12))
        match chance.randrange(8):
            case 0:
                scope: Any = chance.choice([*SCOPES, "agent:acme/ada"])
                books.limit(scope, chance.choice(["day", "week", "month"]), chance.choice([None, "0.05", "0.10", "3"]))
            case 1:
                limit: Any = chance.choice(SCOPES), chance.choice(["day", "week", "month"])
                books.grant(chance.choice(["chat-s1", "task_1"]), limit, chance.choice(["0.010", "0.05"]))
            case 2 | 3 if open_calls:
                made = open_calls.pop(chance.randrange(len(open_calls)))
                ENDS[chance.choice(list(ENDS))][0](books, made)
                if chance.random() < 0.3:
                    books.calls.settle(made, REPLY, ALONE, "req_1")
            case _:
                where = {"workflow_id": "task_1", "project_id": "p1", "enclosing_runs": ("exec_1",)}
                try:
                    worst = Decimal(chance.randrange(1, 200)) / 10_000
                    open_calls.append(books.reserve(next(numbers), worst, **(where if chance.random() < 0.5 else {})))
                except LimitReached:
                    continue


@pytest.mark.parametrize("seed", range(3))
def test_rebuilt_counters_equal_those_that_the_appends_kept(books: Books, database_url: str, seed: int) -> None:
    live_for_a_while(books, seed)
    for _ in range(2):
        done = InlineRebuild(database_url, event_registry(), LimitsProjection()).run()
        assert [comparison.table for comparison in done.comparisons] == [
            "cost_counters",
            "cost_limits",
            "cost_allowances",
        ]
        assert all(comparison.equal for comparison in done.comparisons), done.comparisons
        assert done.comparisons[0].live[0] > 10
        books.reserve(f"after-{done.position}", Decimal(0))


def test_events_of_an_older_release_are_counted_by_the_migration(empty_database_url: str, database_url: str) -> None:
    own = "0035_limits.sql"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE schema_migrations (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())"
        )
        for path in sorted(DIRECTORY.glob("*.sql")):
            if path.name < own:
                connection.execute(path.read_bytes())
                connection.execute("INSERT INTO schema_migrations (name) VALUES (%s)", (path.name,))
    database = Database(empty_database_url, size=2)
    database.open()
    old = Books(database)
    for number in range(5):
        made = old.reserve(number)
        if number:
            ENDS[list(ENDS)[number - 1]][0](old, made)
    assert own in migrate(empty_database_url)
    assert InlineRebuild(empty_database_url, event_registry(), LimitsProjection()).run(swap=False).comparisons[0].equal
    old.limit(*KEY, "1")
    assert old.sums(*KEY) == (COST + Decimal("0.0004"), CENT, CENT)
    database.close()


def test_the_database_counts_the_newest_version_of_every_event_of_calls_and_limits() -> None:
    """A new version of one of them needs a new version of the function that counts them."""
    registry = {event.NAME: f"{event.NAME}/{event.VERSION}" for event in event_registry()}
    sql = max(path.read_text() for path in DIRECTORY.glob("*.sql") if "FUNCTION cost_count" in path.read_text())
    for name in ("call_reserved", "call_settled", "call_cut", "call_failed", "call_lost", "call_reconciled"):
        assert f"'{registry[f'costs.{name}']}'" in sql
    for name in ("limit_set", "allowance_granted"):
        assert f"'{registry[f'costs.{name}']}'" in sql
