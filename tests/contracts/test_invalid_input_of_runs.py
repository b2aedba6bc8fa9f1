"""What the API says of runs is true for input that does not fit what it asks for: beside the rest, as it takes long."""

from typing import Any

from schemathesis import GenerationMode

from tests.contracts.fuzzing import assert_nothing_is_found, of_runs


def test_the_fuzzer_finds_no_answer_outside_the_description(described: Any) -> None:
    assert_nothing_is_found(described, GenerationMode.NEGATIVE, of_runs)
