"""Tokens of providers' caches, as each of them tells them."""

from typing import Any

import pytest

from adapters.openai.usage import usage_of
from domain.chat.model_port import Usage


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        (
            {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cache_write_tokens": 60}},
            Usage(100, 5, cache_write_tokens=60),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 70, "cache_write_tokens": 60},
            },
            Usage(100, 5, cached_prompt_tokens=70, cache_write_tokens=30),
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "cache_read_input_tokens": 40,
                "cache_creation_input_tokens": 50,
            },
            Usage(100, 5, cached_prompt_tokens=40, cache_write_tokens=50),
        ),
        ({"prompt_tokens": 100, "completion_tokens": 5, "cache_write_tokens": -1}, Usage(100, 5)),
    ],
)
def test_what_was_written_to_a_cache_is_a_part_of_the_prompt(told: dict[str, Any], usage: Usage) -> None:
    assert usage_of({"usage": told}, {}) == usage
