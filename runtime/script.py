"""The command `convergio`."""

import sys
from pathlib import Path

from runtime.process import Command

_ROOT = str(Path(__file__).parents[1])


def part_command(*words: str) -> Command:
    """`convergio WORDS`, as `ps` shows it: by the script beside this Python, or by its module if there is none."""
    script = Path(sys.executable).with_name("convergio")
    if script.exists():
        return Command((str(script), *words))
    return Command((sys.executable, "-m", "runtime.cli", *words), {"PYTHONPATH": _ROOT})
