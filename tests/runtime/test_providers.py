"""Which provider the settings name, and whether its models are offered tools."""

from typing import Any

import pytest

from adapters.local_model import MODEL_NAME
from runtime.settings import Settings
from runtime.wiring.model_provider import OPENAI_MODEL, OPENAI_URL, provider

LOCAL = {"openai_base_url": "http://127.0.0.1:8080/v1"}
KEYED = {"openai_api_key": "sk-of-a-test"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, ("none", None, "none")),
        (KEYED, ("openai", OPENAI_URL, OPENAI_MODEL)),
        (LOCAL, ("local", LOCAL["openai_base_url"], MODEL_NAME)),
        (
            {"openai_base_url": "https://models.example/v1"},
            ("models.example", "https://models.example/v1", OPENAI_MODEL),
        ),
    ],
)
def test_the_provider_is_the_one_that_the_settings_name(settings: dict[str, Any], named: tuple[str, str, str]) -> None:
    found = provider(Settings(**settings))
    assert (found.name, found.url, found.default_model) == named


@pytest.mark.parametrize(
    ("settings", "takes_tools"),
    [
        (KEYED, True),
        (LOCAL, False),
        ({**LOCAL, "model": "big"}, True),
        ({**LOCAL, "model_tools": "on"}, True),
        ({**KEYED, "model_tools": "off"}, False),
        ({"model_tools": "on"}, False),
    ],
)
def test_tools_are_offered_to_any_model_but_the_small_one_unless_it_is_set_otherwise(
    settings: dict[str, Any], *, takes_tools: bool
) -> None:
    assert provider(Settings(**settings)).takes_tools is takes_tools
