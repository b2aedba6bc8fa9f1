"""What a fuzzer, or a user, has found once is not found again."""

from typing import Any

import pytest

from tests.contracts.fuzzing import assert_replayed, corpus


@pytest.mark.parametrize("entry", corpus())
def test_what_has_failed_once_is_answered_as_described(described: Any, entry: dict[str, Any]) -> None:
    assert_replayed(described, entry)
