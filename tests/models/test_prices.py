"""Prices: the package's own calculation is the reference, an operator's file goes first."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot

from adapters.genai_prices import GenaiPrices, known_context_window, list_cost
from domain.costs.ports import Price, worst_price
from domain.costs.tariff import Tokens
from domain.errors import Invalid

AT = datetime(2026, 6, 1, tzinfo=UTC)
LISTED = [(provider, model) for provider in get_snapshot().providers for model in provider.models]
USAGES = [
    Tokens(1000, 0, 100),
    Tokens(250_001, 200_000, 4096),
    Tokens(7, 7, 0),
    Tokens(0, 0, 1),
    Tokens(300_000, 100_000, 10, written=150_000),
]


def _seconds(work: Callable[[], object]) -> float:
    """Of one of 200 runs, on average."""
    start = time.perf_counter()
    for _ in range(200):
        work()
    return (time.perf_counter() - start) / 200


def test_every_listed_model_costs_what_the_package_computes() -> None:
    compared = 0
    for provider, model in LISTED:
        rates = model.get_prices(AT).__dict__
        if "input_mtok" not in rates:
            continue  # priced by images, seconds or characters: no chat
        for tokens in USAGES:
            usage = Usage(
                input_tokens=tokens.prompt,
                cache_read_tokens=tokens.cached,
                cache_write_tokens=tokens.written,
                output_tokens=tokens.completion,
            )
            reference = model.calc_price(usage, provider, genai_request_timestamp=AT).total_price
            assert list_cost(rates, tokens) == reference, (provider.id, model.id, tokens)
            compared += 1
    assert compared > 1000


def test_a_call_is_priced_exactly_and_names_its_list() -> None:
    priced = GenaiPrices().price("gpt-4o", prompt_tokens=1000, completion_tokens=100, cached_prompt_tokens=10, at=AT)
    assert priced.cost == Decimal("0.0034875")
    assert priced.known
    assert priced.price_version.startswith("genai-prices 0.")
    assert len(priced.price_version.split()[2]) == 12


def test_a_price_is_the_one_of_its_day() -> None:
    prices = GenaiPrices()
    dated = next(model for _, model in LISTED if model.id == "o3")
    assert isinstance(dated.prices, list), "the list's history of this model is what the test is about"
    days = (datetime(2025, 5, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC))
    before, after = (prices.price("o3", prompt_tokens=1_000_000, completion_tokens=0, at=day).cost for day in days)
    assert (before, after) == (Decimal(10), Decimal(2))


def test_a_model_that_no_list_has_is_free_and_marked_unknown() -> None:
    priced = GenaiPrices().price("scripted", prompt_tokens=1000, completion_tokens=100, at=AT)
    assert priced == Price(Decimal(0), "none", known=False)


def test_the_local_model_is_free_and_known() -> None:
    priced = GenaiPrices().price("smollm2-135m-instruct", prompt_tokens=1000, completion_tokens=100, at=AT)
    assert priced == Price(Decimal(0), "local", known=True)


def test_more_cached_tokens_than_prompt_never_make_a_negative_cost() -> None:
    priced = GenaiPrices().price("gpt-4o", prompt_tokens=10, completion_tokens=0, cached_prompt_tokens=99, at=AT)
    assert priced.cost == Decimal("0.0000125")


def test_a_prompt_that_is_written_to_the_providers_cache_costs_more_and_the_worst_case_knows() -> None:
    asked = {"prompt_tokens": 1_000_000, "completion_tokens": 0, "at": datetime(2026, 11, 1, tzinfo=UTC)}
    prices = GenaiPrices()
    plain, written = (
        prices.price("gpt-5.6-cyber", cache_write_tokens=tokens, **asked).cost for tokens in (0, 1_000_000)
    )
    assert (plain, written) == (Decimal("12.5"), Decimal("15.625"))
    assert worst_price(prices, "gpt-5.6-cyber", **asked).cost == written
    assert worst_price(prices, "gpt-4o", **asked).cost == prices.price("gpt-4o", **asked).cost


def test_the_providers_url_picks_among_prices_for_the_same_model() -> None:
    model = "llama-3.3-70b-versatile"
    asked = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    assert not GenaiPrices().price(model, at=AT, **asked).known
    assert GenaiPrices(api_url="https://api.groq.com/openai/v1").price(model, at=AT, **asked).cost == Decimal("0.59")
    assert GenaiPrices(api_url="http://127.0.0.1:9/v1").price("gpt-4o", at=AT, **asked).cost == Decimal("2.5")


def test_an_operators_file_goes_first_from_the_day_it_names(tmp_path: Path) -> None:
    file = tmp_path / "prices.json"
    ours = [
        {"input_per_million": 0.15, "output_per_million": 3, "from": "2026-01-01"},
        {
            "input_per_million": 9,
            "output_per_million": 9,
            "cached_input_per_million": "0.9",
            "from": "2026-06-01T00:00Z",
        },
    ]
    file.write_text(json.dumps({"gpt-4o": ours, "mine": {"input_per_million": 1, "output_per_million": 2}}))
    prices = GenaiPrices(file)

    def cost(model: str, at: datetime) -> Decimal:
        return prices.price(
            model, prompt_tokens=1_000_000, completion_tokens=0, cached_prompt_tokens=500_000, at=at
        ).cost

    assert cost("gpt-4o", datetime(2025, 12, 31, tzinfo=UTC)) == Decimal("1.875")
    assert cost("gpt-4o", datetime(2026, 1, 1, tzinfo=UTC)) == Decimal("0.15")
    assert cost("gpt-4o", AT) == Decimal("4.95")
    assert cost("mine", AT) == Decimal(1)
    version = prices.price("mine", prompt_tokens=0, completion_tokens=0, at=AT).price_version
    assert version.startswith("file:")
    assert len(version) == len("file:") + 12


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"m": {"input_per_million": -1, "output_per_million": 1}}',
        '{"m": {"input_per_million": "NaN", "output_per_million": 1}}',
        '{"m": {"input": 1, "output": 1}}',
        '{"m": []}',
    ],
)
def test_a_price_file_with_a_fault_is_refused_by_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(text)
    with pytest.raises(Invalid, match=r"prices\.json"):
        GenaiPrices(file)


def test_a_price_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no-such-file"):
        GenaiPrices(tmp_path / "no-such-file")


def test_the_window_of_a_listed_model_is_known() -> None:
    assert known_context_window("gpt-4o") == 128_000
    assert known_context_window("scripted") is None


@pytest.mark.parametrize("model", ["gpt-4o", "gemini-2.5-pro", "scripted", "smollm2-135m-instruct"])
def test_pricing_a_call_takes_microseconds(model: str) -> None:
    prices = GenaiPrices()
    asked = {"prompt_tokens": 1000, "completion_tokens": 100, "cached_prompt_tokens": 10}
    best = min(_seconds(lambda: prices.price(model, at=AT, **asked)) for _ in range(50))
    assert best < 30e-6
