"""What every proof has: figures it prints, and a system of its own."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.chaos.whole import Whole, whole_with_model

Say = Callable[[str], None]
"""Shows a measurement, whether the proof passes or not."""


@pytest.fixture
def measured(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Say:
    terminal = request.config.get_terminal_writer()

    def say(text: str) -> None:
        with capsys.disabled():
            terminal.line()
            for line in text.splitlines():
                terminal.line(f"    {line}")

    return say


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[Whole]:
    """Everything `convergio up` starts, in a fresh directory, with a provider of its own."""
    async with whole_with_model(tmp_path) as started:
        yield started
