"""Prices of operators on a real ledger: versions, precedence, and what a call costs while they change."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from activities.costs.bookkeeping import CostLedger
from activities.costs.joint_append import Companion
from activities.costs.reservation import Reservation
from adapters.genai_prices import GenaiPrices
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.chat.model_port import ModelReply, Usage
from domain.costs import aggregate
from domain.costs.events import CallSettled
from domain.costs.operator_prices import REFRESH, OperatorPrices
from domain.costs.price_book import MOST_MODELS, NOTICE, ModelPrice, PriceBook, fold, set_prices
from domain.costs.tariff import Tokens
from domain.errors import Invalid, PreconditionFailed, Unavailable
from domain.events import Cause
from domain.ledger import Ledger
from domain.registry import event_registry
from tests.costs.test_domain import INTENT

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
ONE, TWO = (ModelPrice("gpt-4o", Decimal(dollars), Decimal(dollars)) for dollars in (1, 2))
ALONE = Companion("turn:none", lambda _: [])


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def forward(self, step: timedelta) -> None:
        self.at += step


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, size=2)
    database.open()
    yield database
    database.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(LedgerRecorder(database), event_registry())


@pytest.fixture
def prices(ledger: Ledger, clock: Clock) -> OperatorPrices:
    return OperatorPrices(ledger, GenaiPrices(), clock)


def cause(at: datetime = START) -> Cause:
    return Cause("key_operator", "req_1", at, "default")


def put(prices: OperatorPrices, clock: Clock, *wanted: ModelPrice, withdrawn: tuple[str, ...] = ()) -> PriceBook:
    return prices.set_prices(wanted, withdrawn, cause(clock()), check=lambda _: None)


def per_million(prices: OperatorPrices, at: datetime) -> Decimal:
    return prices.price("gpt-4o", prompt_tokens=1_000_000, completion_tokens=0, at=at).cost


def test_each_price_is_in_force_for_its_time_and_the_list_before_and_after(
    prices: OperatorPrices, clock: Clock
) -> None:
    put(prices, clock, ONE)
    clock.forward(timedelta(hours=1))
    put(prices, clock, TWO)
    clock.forward(timedelta(hours=1))
    put(prices, clock, withdrawn=("gpt-4o",))
    moments = [START + timedelta(hours=hours) + offset for hours in range(3) for offset in (timedelta(), NOTICE)]
    listed = Decimal("2.5")
    assert [per_million(prices, at) for at in moments] == [listed, 1, 1, 2, 2, listed]
    versions = [tariff.version for at in moments if (tariff := prices.tariff("gpt-4o", at))]
    assert versions[1:5] == ["operator:1", "operator:1", "operator:2", "operator:2"]
    assert versions[0] == versions[5]


def test_an_operator_goes_before_the_file_and_the_file_before_the_list(
    ledger: Ledger, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("prices") / "prices.json"
    file.write_text('{"gpt-4o": {"input_per_million": 7, "output_per_million": 7}}')
    prices = OperatorPrices(ledger, GenaiPrices(file), clock)
    assert per_million(prices, START) == 7
    put(prices, clock, ONE)
    put(prices, clock, ModelPrice("smollm2-135m-instruct", Decimal(3), Decimal(3)))
    later = START + NOTICE
    assert per_million(prices, later) == 1
    sources = {model: prices.tariff(model, later) for model in ("gpt-4o", "smollm2-135m-instruct", "o3")}
    assert [tariff.source for tariff in sources.values() if tariff] == ["operator", "operator", "list"]
    assert prices.own_models() == {"gpt-4o", "smollm2-135m-instruct"}


def test_another_process_knows_a_price_before_it_begins(prices: OperatorPrices, ledger: Ledger, clock: Clock) -> None:
    other = OperatorPrices(ledger, GenaiPrices(), clock)
    assert per_million(other, clock()) == Decimal("2.5")
    put(prices, clock, ONE)
    assert NOTICE > 2 * REFRESH
    assert per_million(other, clock() + NOTICE - timedelta(microseconds=1)) == Decimal("2.5")
    assert per_million(other, clock() + NOTICE) == 1


def test_a_price_of_a_moment_before_the_last_read_needs_no_ledger(
    prices: OperatorPrices, database: Database, clock: Clock
) -> None:
    put(prices, clock, ONE)
    database.close()
    assert per_million(prices, clock()) == Decimal("2.5")
    with pytest.raises(Unavailable):
        per_million(prices, clock() + NOTICE)


def test_a_call_is_settled_at_the_price_of_its_reservation(
    prices: OperatorPrices, ledger: Ledger, clock: Clock
) -> None:
    put(prices, clock, ONE)
    clock.forward(NOTICE)
    books = CostLedger(ledger, prices, clock)
    worst = books.worst_price("gpt-4o", 500, 100, at=clock())
    intent = aggregate.CallIntent(
        **{name: getattr(INTENT, name) for name in INTENT.__dataclass_fields__}
        | {"model": "gpt-4o", "worst_case": worst.cost, "price_version": worst.price_version, "priced_at": clock()}
    )
    reservation = books.reserve(intent, ALONE, "req_1", untried=True)
    assert isinstance(reservation, Reservation)
    put(prices, clock, TWO)
    clock.forward(NOTICE)
    assert books.worst_price("gpt-4o", 500, 100, at=clock()).cost == 2 * worst.cost
    books.settle(reservation, ModelReply("Yes.", "stop", Usage(500, 100), model="gpt-4o"), ALONE, "req_1")
    settled = ledger.read(aggregate.stream(intent.call_id))[-1]
    assert isinstance(settled, CallSettled)
    assert (settled.cost, settled.price_version) == (worst.cost, "operator:1")


def test_cached_tokens_cost_as_much_as_others_where_nothing_is_said(prices: OperatorPrices, clock: Clock) -> None:
    put(prices, clock, ONE, ModelPrice("mine", Decimal(1), Decimal(3), Decimal("0.1")))
    tokens = Tokens(prompt=1_000_000, cached=400_000, completion=10)
    same, cheaper = (prices.tariff(model, clock() + NOTICE) for model in ("gpt-4o", "mine"))
    assert same is not None
    assert cheaper is not None
    assert (same.cost(tokens), cheaper.cost(tokens)) == (Decimal("1.00001"), Decimal("0.64003"))


def test_what_stands_already_is_no_change(prices: OperatorPrices, clock: Clock) -> None:
    assert put(prices, clock, ONE).version == 1
    assert put(prices, clock, ONE, withdrawn=("never-set",)).version == 1
    assert put(prices, clock, withdrawn=("gpt-4o",)).version == 2
    assert put(prices, clock, withdrawn=("gpt-4o",)).version == 2


def test_a_change_at_another_version_is_refused_and_changes_nothing(prices: OperatorPrices, clock: Clock) -> None:
    def refuse(version: int) -> None:
        raise PreconditionFailed("changed", version=version)

    with pytest.raises(PreconditionFailed):
        prices.set_prices([ONE], [], cause(), check=refuse)
    assert prices.book().version == 0


def test_two_operators_at_once_both_succeed(ledger: Ledger, clock: Clock) -> None:
    first, second = (OperatorPrices(ledger, GenaiPrices(), clock) for _ in range(2))
    put(first, clock, ONE)
    assert put(second, clock, TWO).version == 2
    assert [each.newest("gpt-4o") for each in (first.book(), second.book())] == [second.book().newest("gpt-4o")] * 2


def test_a_deployment_has_a_bounded_number_of_prices() -> None:
    many = [ModelPrice(f"model-{number}", Decimal(1), Decimal(1)) for number in range(MOST_MODELS)]
    full = fold(PriceBook(), set_prices(PriceBook(), many, [], cause()))
    with pytest.raises(Invalid, match="1000 models"):
        set_prices(full, [ONE], [], cause())
    assert len(set_prices(full, [ONE], ["model-1"], cause())) == 2
