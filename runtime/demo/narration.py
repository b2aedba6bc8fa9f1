"""The demo's output: steps, conversations, times, the cost ledger, and claims with their checks."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import httpx2
from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

_LONGEST = 100


class Narrator:
    """Prints the demo on `console`, and collects the claims that failed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self.broken: list[str] = []

    def show_step(self, title: str, sentence: str) -> None:
        self._console.print(f"\n[bold]{title}[/]\n[dim]{sentence}[/]\n")

    def show_status(self, text: str) -> Status:
        """Return a status line for the length of a `with` block."""
        return self._console.status(f"{text} ...")

    def show_line(self, text: str) -> None:
        self._console.print(Text(f"  {text}"))

    def show_event(self, at: float, since: float, text: str) -> None:
        """Print an event at `at`, in seconds after `since`; both in Unix seconds."""
        self._console.print(Text.assemble((f"  {at - since:+6.1f} s  ", "dim"), text))

    def check(self, claim: str, *, held: bool) -> None:
        self._console.print(Text.assemble(("  ✓ ", "bold green") if held else ("  ✗ ", "bold red"), claim))
        if not held:
            self.broken.append(claim)

    def show_exchange(self, agent: str, message: str, response: httpx2.Response) -> None:
        answer = response.json()["response"] if response.status_code == httpx2.codes.OK else response.text
        for who, words, colour in (("you", message, "cyan"), (agent, str(answer), "green")):
            self._console.print(Panel(Text(words), title=who, title_align="left", border_style=colour))

    def show_ledger(self, calls: Iterable[dict[str, Any]]) -> None:
        table = Table("call", "attempt", "state", "tokens", "cost", "model", box=None, padding=(0, 2))
        for call in calls:
            shown = [call[name] for name in ("attempt", "state", "total_tokens", "cost", "model")]
            table.add_row(call["call_id"][:8], *map(str, shown), style="yellow" if call["state"] == "unknown" else "")
        self._console.print(table)

    def show_turns(self, turns: Iterable[dict[str, Any]]) -> None:
        for turn in turns:
            self.show_line(f"{turn['turn']}  {turn['message']}\n     {_short(turn['response'] or '')}")

    def verdict(self) -> int:
        """Print the result. Returns 0 if every claim held, else 1."""
        words, colour = ("Every claim held", "green") if not self.broken else ("NOT every claim held", "red")
        self._console.print(f"\n[bold {colour}]{words}[/] ({time.monotonic() - self._began:.0f} s)\n")
        return 1 if self.broken else 0


def unix_seconds(stamp: str) -> float:
    """Parse a time as the API writes it."""
    return datetime.fromisoformat(stamp).timestamp()


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."
