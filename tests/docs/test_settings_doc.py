"""`docs/settings.md` names every setting there is, and no other, with the default it has."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.genai_prices import GenaiPrices
from adapters.local_model import MODEL_NAME
from adapters.openai.model import DEFAULT_WINDOW
from runtime.settings import Settings
from runtime.wiring.model_provider import OPENAI_MODEL
from tests.servers import ROOT

PAGE = (ROOT / "docs/settings.md").read_text()
FIELDS = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}
ROWS = {
    name: (meaning, default)
    for name, meaning, default in re.findall(r"^\| `([A-Z_]+)` \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
}


def test_every_setting_is_described_and_nothing_else() -> None:
    assert set(ROWS) == set(FIELDS)
    assert PAGE.count("\n| `") == len(ROWS), "a setting is described twice"


@pytest.mark.parametrize("name", FIELDS)
def test_a_default_is_as_it_is_described(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = ROWS[name][1]
    actual = getattr(Settings(), FIELDS[name])
    if default in {"not set", "none"}:
        assert actual in {None, ()}
    else:
        monkeypatch.setenv(name, default.strip("`"))
        assert getattr(Settings(), FIELDS[name]) == actual


@pytest.mark.parametrize("name", FIELDS)
def test_a_meaning_is_a_sentence(name: str) -> None:
    meaning = ROWS[name][0]
    assert meaning[0].isupper() or meaning[0] == "`"
    assert meaning.endswith(".")


def test_what_the_model_defaults_to_is_as_it_is_described() -> None:
    assert f"`{OPENAI_MODEL}`" in ROWS["CONVERGIO_MODEL"][0]
    assert f"`{MODEL_NAME}`" in ROWS["CONVERGIO_MODEL"][0]
    assert str(DEFAULT_WINDOW) in ROWS["CONVERGIO_CONTEXT_WINDOW"][0]


def test_the_price_file_that_is_shown_can_be_used(tmp_path: Path) -> None:
    shown = re.search(r"```json\n(.+?)```", PAGE, re.DOTALL)
    assert shown
    assert json.loads(shown[1])
    (tmp_path / "prices.json").write_text(shown[1])
    prices = GenaiPrices(tmp_path / "prices.json")
    before, after = datetime(2026, 6, 30, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)
    million = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    assert prices.price("our-model", **million, at=before).cost == Decimal("0.40")
    assert prices.price("our-other-model", **million, at=before).cost == Decimal(2)
    assert prices.price("our-other-model", **million, at=after).cost == Decimal("1.50")
