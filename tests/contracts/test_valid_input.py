"""What the API says of itself is true for input that fits what it asks for."""

from typing import Any

from schemathesis import GenerationMode

from tests.contracts.fuzzing import assert_nothing_is_found


def test_the_fuzzer_finds_no_answer_outside_the_description(described: Any) -> None:
    assert_nothing_is_found(described, GenerationMode.POSITIVE)
