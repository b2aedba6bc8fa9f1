"""What the demo says when something does not hold."""

from io import StringIO

import pytest
from rich.console import Console

from runtime.demo import stage as demo_stage
from runtime.demo.narration import Narrator
from runtime.demo.run import run_demo
from runtime.settings import Settings
from runtime.supervisor.process import ProcessCommand


def test_one_claim_that_does_not_hold_fails_the_demo() -> None:
    output = StringIO()
    telling = Narrator(Console(file=output, width=80))
    telling.check("the sea is wet", held=True)
    assert telling.verdict() == 0
    telling.check("the moon is cheese", held=False)
    assert telling.verdict() == 1
    assert "✗ the moon is cheese" in output.getvalue()


def test_a_system_that_does_not_start_fails_the_demo_and_its_last_words_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = ProcessCommand(("sh", "-c", "echo no luck today; exit 3"))
    monkeypatch.setattr(demo_stage, "part_command", lambda *_: broken)
    assert run_demo(Settings()) == 1
    shown = capsys.readouterr().out
    assert "✗ the demo comes to its end: convergio up did not start" in shown
    assert "no luck today" in shown
